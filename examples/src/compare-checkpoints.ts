/** Which checkpoint is better? Trains briefly and longer, asks both the same questions, and compares question by question. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Batches from "@effect-tinker/cookbook/Batches"
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import * as Eval from "@effect-tinker/cookbook/Eval"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as Supervised from "@effect-tinker/cookbook/Supervised"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"

const data = Effect.map(
  Dataset.read(Dataset.PromptCompletion, fileURLToPath(new URL("../data/past-tense.jsonl", import.meta.url))),
  (records) => ({
    train: records.filter(({ split }) => split !== "test"),
    heldOut: records.filter(({ split }) => split === "test").slice(0, 48)
  })
)

/** The path of weights that were trained for so many steps. */
const train = Effect.fnUntraced(function* (records: ReadonlyArray<Dataset.PromptCompletion>, steps: number) {
  const base = yield* BaseModel.BaseModel
  const { checkpoint } = yield* Supervised.run({
    model: { base_model: base.name, rank: 16, seed: 0 },
    batches: Batches.make(
      records.map((record) => Dataset.toDatum(record, base.encode)),
      { size: 16, seed: 0 }
    ),
    steps,
    learningRate: LearningRate.linear(5e-3)
  })
  return checkpoint!.sampler_path!
})

/** What the weights answer, graded. */
const evaluate = Effect.fnUntraced(function* (path: string, records: ReadonlyArray<Dataset.PromptCompletion>) {
  const service = yield* ServiceClient.ServiceClient
  const base = yield* BaseModel.BaseModel
  return yield* Eval.run({
    name: "past tense",
    model: path,
    sampler: yield* service.createSamplingClient({ model_path: path }),
    problems: Stream.fromIterable(
      records.map(({ completion, prompt }) => ({
        id: prompt,
        prompt: base.encode(prompt),
        input: prompt,
        target: completion.trim(),
        grade: ({ text }: Eval.Answer) => (text.trim() === completion.trim() ? 1 : 0)
      }))
    ),
    decode: base.decode,
    sampling: { max_tokens: 16, temperature: 0, stop: "\n" }
  })
})

const program = Effect.gen(function* () {
  const { heldOut, train: records } = yield* data
  const short = yield* evaluate(yield* train(records, 20), heldOut)
  const long = yield* evaluate(yield* train(records, 80), heldOut)
  const { better, difference, interval, p, worse } = Eval.compare(short, long)
  yield* Console.log(`after 20 steps ${short.accuracy.toFixed(2)}, after 80 steps ${long.accuracy.toFixed(2)}`)
  yield* Console.log(
    `difference ${difference.toFixed(2)}, at 95 % ${interval.map((end) => end.toFixed(2)).join(" to ")}`
  )
  yield* Console.log(`better in ${better}, worse in ${worse} of ${heldOut.length} questions; p = ${p.toFixed(4)}`)
})

const MainLive = Layer.merge(Backend.layerConfig({ checkpoints: "./checkpoints" }), Metrics.layerSilent).pipe(
  Layer.provideMerge(NodeContext.layer),
  Layer.provide(FetchHttpClient.layer)
)

program.pipe(Effect.scoped, Effect.provide(MainLive), NodeRuntime.runMain)
