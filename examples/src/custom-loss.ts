/**
 * Trains with a loss of one's own: focal loss, which learns more from the tokens that the model finds hard. The gradient is
 * written by hand here; `JaxLoss` of the cookbook derives it.
 */
import type * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"

/** -(1 - p)² · log p of each token with a weight, where p is its probability. */
export const focal: CustomLoss.CustomLoss<Datum.Supervised> = (data, logprobs) => {
  let loss = 0
  const gradients = data.map((datum, i) => {
    const weights = TensorData.toNumbers(datum.loss_fn_inputs.weights)
    return Array.from(logprobs[i]!.data, (logprob, at) => {
      const p = Math.exp(logprob)
      loss -= weights[at]! * (1 - p) ** 2 * logprob
      // with respect to the logprob, since that is what the service is given
      return weights[at]! * (2 * p * (1 - p) * logprob - (1 - p) ** 2)
    })
  })
  return { loss, gradients }
}

const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const base = yield* BaseModel.BaseModel
  const file = fileURLToPath(new URL("../data/past-tense.jsonl", import.meta.url))
  const records = yield* Dataset.read(Dataset.PromptCompletion, file)
  const batch = records.slice(0, 16).map((record) => Dataset.toDatum(record, base.encode))
  const training = yield* service.createLoraTrainingClient({ base_model: base.name, rank: 16, seed: 0 })
  for (let step = 0; step < 12; step++) {
    const forward = yield* training.forwardBackwardCustom(batch, focal)
    const update = yield* training.optimStep({ learning_rate: 5e-3 })
    const [{ metrics }] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    yield* Console.log(`step ${step}: focal loss ${metrics["loss:sum"]?.toFixed(3)}`)
  }
})

const MainLive = Backend.layerConfig({ checkpoints: "./checkpoints" }).pipe(
  Layer.provideMerge(NodeContext.layer),
  Layer.provide(FetchHttpClient.layer)
)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  program.pipe(Effect.scoped, Effect.provide(MainLive), NodeRuntime.runMain)
}
