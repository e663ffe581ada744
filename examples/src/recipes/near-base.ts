/**
 * A regularizer beside the loss: a model learns a task, with a term that keeps its probabilities of other texts where those of
 * the base model are. Without the term they go away.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Regularizers from "@effect-tinker/cookbook/Regularizers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as letters from "./letters.ts"
import type { Recipe } from "./recipe.ts"

type Example = Datum.For<"cross_entropy">

const weightsOf = ({ loss_fn_inputs }: Example): ReadonlyArray<number> => TensorData.toNumbers(loss_fn_inputs.weights)

/** The negative log-likelihood of all trained tokens. */
const nll: CustomLoss.CustomLoss<Example> = (data, logprobs) => ({
  loss: -data.reduce(
    (sum, datum, i) => sum + weightsOf(datum).reduce((part, weight, at) => part + weight * logprobs[i]!.data[at]!, 0),
    0
  ),
  gradients: data.map((datum) => weightsOf(datum).map((weight) => -weight))
})

/** Texts that are not trained, with the logprobs of the base model. */
const kept = (client: SamplingClient.SamplingClient, base: BaseModel.Service, tasks: ReadonlyArray<letters.Task>) =>
  Effect.forEach(
    tasks,
    ({ answer, prompt }) => {
      const [given, said] = [base.encode(prompt), base.encode(`${answer}\n`)]
      const { loss_fn_inputs, model_input } = Datum.fromPromptCompletion(given, said)
      const weights = TensorData.float32(weightsOf({ loss_fn_inputs, model_input }).map(() => 0))
      return Effect.map(client.computeLogprobs(ModelInput.fromTokens([...given, ...said])), (logprobs) => ({
        datum: Datum.make({ model_input, loss_fn_inputs: { ...loss_fn_inputs, weights } }),
        logprobs: logprobs.subarray(1)
      }))
    },
    { concurrency: "unbounded" }
  )

type Kept = Effect.Effect.Success<ReturnType<typeof kept>>

/** The mean squared distance of logprobs from those of the base model. */
const distance = (
  client: SamplingClient.SamplingClient,
  base: BaseModel.Service,
  tasks: ReadonlyArray<letters.Task>,
  from: Kept
) =>
  Effect.map(kept(client, base, tasks), (now) => {
    const all = now.flatMap(({ logprobs }, i) =>
      Array.from(logprobs, (value, at) => (value - from[i]!.logprobs[at]!) ** 2)
    )
    return all.reduce((sum, value) => sum + value, 0) / all.length
  })

export const nearBase: Recipe = {
  name: "near-base",
  group: "regularizers",
  nightly: "trains twice",
  run: ({ data, full, seed }) =>
    Effect.gen(function* () {
      const base = yield* BaseModel.BaseModel
      const service = yield* ServiceClient.ServiceClient
      const client = yield* service.createSamplingClient({ base_model: base.name })
      const { held, shown } = yield* letters.verbs({ data, full })
      const copies = yield* letters.tasks("kept", 256, (word) => word)
      const others = yield* letters.tasks("held out", 64, (word) => word)
      const [anchors, unseen] = [yield* kept(client, base, copies), yield* kept(client, base, others)]
      const examples = shown.map(({ answer, prompt }) =>
        Datum.fromPromptCompletion(base.encode(prompt), base.encode(`${answer}\n`))
      )
      const perStep = 12
      const train = Effect.fnUntraced(function* (weight: number) {
        const training = yield* service.createLoraTrainingClient({ base_model: base.name, rank: 16, seed })
        const steps = full ? 64 : 24
        for (let step = 0; step < steps; step++) {
          const at = <A>(all: ReadonlyArray<A>, count: number) =>
            Array.from({ length: count }, (_, i) => all[(step * count + i) % all.length]!)
          const near = at(anchors, 4)
          // the last ones of a batch are kept where they are; the others are free
          const stay = Regularizers.consistency({ original: (i) => near[i - perStep]!.logprobs })
          const loss = Regularizers.add(nll, [
            {
              name: "distance",
              weight,
              regularizer: (logprobs, i) =>
                i < perStep ? { value: 0, gradient: new Float32Array(logprobs.data.length) } : stay(logprobs, i)
            }
          ])
          yield* Effect.flatMap(
            training.forwardBackwardCustom([...at(examples, perStep), ...near.map(({ datum }) => datum)], loss),
            Fiber.join
          )
          yield* Effect.flatMap(training.optimStep({ learning_rate: 5e-3 * (1 - step / steps) }), Fiber.join)
        }
        const sampling = yield* training.saveWeightsAndGetSamplingClient()
        return {
          distance: yield* distance(sampling, base, others, unseen),
          exact: yield* letters.sampledExactly(sampling, held)
        }
      })
      const [free, near] = [yield* train(0), yield* train(100)]
      const passed = near.distance <= free.distance / 2 && near.exact >= 0.4
      return {
        before: free.distance,
        after: near.distance,
        line: `distance to the base at most half as large, sampled exactly ${near.exact.toFixed(2)} ≥ 0.4 (${free.exact.toFixed(2)} without)`,
        passed
      }
    })
}
