/**
 * Trains an adapter over a socket and exports it with the service's logprobs, which `check.py` compares.
 *
 *     node --conditions=effect-tinker-source --import tsx interop/peft/export.ts OUTPUT
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

const tokens = Array.from(new TextEncoder().encode("the quick brown fox jumps over the lazy dog"), (byte) => byte + 3)
const data = [Datum.fromPromptCompletion(tokens.slice(0, 1), tokens.slice(1))]
const apiKey = Redacted.make("tml-peft")

const main = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const output = process.argv[2] ?? "peft-export"
  const server = NodeServer.layer({ apiKeys: [apiKey] }).pipe(
    Layer.provide([JaxEngine.layer(), CheckpointStore.layerMemory, Store.layerMemory])
  )
  yield* Effect.gen(function* () {
    const baseUrl = yield* NodeServer.baseUrl
    yield* Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const training = yield* service.createLoraTrainingClient({ base_model: JaxEngine.nano, rank: 8, seed: 1 })
      for (let step = 0; step < 5; step++) {
        yield* training.forwardBackward(data, "cross_entropy")
        yield* Fiber.join(yield* training.optimStep({ learning_rate: 0.01 }))
      }
      const { loss_fn_outputs } = yield* Fiber.join(yield* training.forward(data, "cross_entropy"))
      const { path } = yield* Fiber.join(yield* training.saveWeightsForSampler("final"))
      yield* CheckpointDownload.exportPeft(path, { directory: `${output}/adapter`, replace: true })
      const logprobs = TensorData.toNumbers(loss_fn_outputs[0]!["logprobs"]!)
      yield* fs.writeFileString(`${output}/expected.json`, JSON.stringify({ tokens, logprobs }))
    }).pipe(
      Effect.scoped,
      Effect.provide([ServiceClient.layer({ apiKey, baseUrl }), RestClient.layer({ apiKey, baseUrl })]),
      Effect.provide(FetchHttpClient.layer)
    )
  }).pipe(Effect.provide(server))
}).pipe(Effect.provide(NodeContext.layer))

NodeRuntime.runMain(main)
