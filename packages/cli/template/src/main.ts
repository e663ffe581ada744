/** Trains and shows what the model has learned: on this machine, or on the hosted service if TINKER_API_KEY is set. */
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Backend from "@effect-tinker/cookbook/Backend"
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { complete, read, train } from "./train.ts"

const program = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const base = yield* BaseModel.BaseModel
  const backend = yield* Backend.Backend
  const data = yield* read("data/train.jsonl")
  yield* Console.log(`${base.name} on ${backend.description}: ${data.train.length} records to train on`)

  // starts a run, or goes on with an interrupted one; remove the directory to start again
  const { checkpoint } = yield* train(data, { steps: 60, directory: "runs/first" })

  const path = checkpoint!.sampler_path!
  const untrained = yield* service.createSamplingClient({ base_model: base.name })
  const trained = yield* service.createSamplingClient({ model_path: path })
  for (const { completion, prompt } of data.heldOut.slice(0, 8)) {
    const [before, after] = yield* Effect.all([complete(untrained, prompt), complete(trained, prompt)])
    yield* Console.log(`${prompt} ${after}  (before: ${before}, expected: ${completion.trim()})`)
  }
  yield* Console.log(`weights: ${path}`)
}).pipe(Effect.scoped)

const MetricsLive = Metrics.layer([
  Metrics.console({
    write: (text) => process.stderr.write(text),
    isTerminal: process.stderr.isTTY,
    columns: process.stderr.columns
  })
])

const MainLive = Layer.merge(MetricsLive, Backend.layerConfig({ checkpoints: "checkpoints" })).pipe(
  Layer.provideMerge(NodeContext.layer),
  Layer.provide(NodeHttpClient.layer)
)

program.pipe(Effect.provide(MainLive), NodeRuntime.runMain)
