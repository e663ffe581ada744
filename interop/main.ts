/**
 * Runs the official Python client and tinker-cookbook, unmodified, against this service over a socket.
 *
 *     npm run interop                 both
 *     npm run interop -- client       the client alone, with the test engine
 *     npm run interop -- nano         the client alone, with the engine that really trains, and the shipped model
 *     npm run interop -- cookbook     the training loops of the cookbook alone, with the engine that really trains
 *     npm run interop -- renderers    the renderers of the cookbook alone, against those of this project
 *     npm run interop -- openai       OpenAI's client for Python, with the engine that really trains, and the shipped model
 *     npm run interop -- export       PEFT, transformers and llama.cpp alone, on exported models
 *
 * `npm run interop -- hub` runs hub/main.ts instead: Python's huggingface_hub on the cache of this project.
 */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"
import * as cookbook from "./cookbook/main.ts"
import * as exported from "./export/main.ts"
import * as hub from "./hub/main.ts"
import { inEnvironment, prepare, run } from "./python.ts"
import * as openai from "./openai/main.ts"
import * as renderers from "./renderers/main.ts"

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const environment = path(".venv")
const key = "tml-interop"

const engine = Effect.gen(function* () {
  if (!process.argv.includes("nano")) return TestEngine.layer()
  const JaxEngine = yield* Effect.promise(() => import("@effect-tinker/engine/JaxEngine"))
  return JaxEngine.layer({ localTokenizers: true })
})

/** Succeeds with whether no step failed. */
const client = Effect.gen(function* () {
  const reason = yield* prepare(environment, "the official client", ["-r", path("requirements.txt")])
  if (reason !== undefined) {
    yield* Console.log(`skipped: ${reason}`)
    return true
  }
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "interop-" })
  const layer = yield* engine
  const server = NodeServer.layer({
    apiKeys: [Redacted.make(key)],
    clientConfig: { proto_compress_fwdbwd: true, sample_join_sampling_session: true }
  }).pipe(Layer.provide([layer, CheckpointStore.layerFileSystem(directory)]), Layer.provide(Store.layerMemory))
  const code = yield* Effect.gen(function* () {
    const url = yield* NodeServer.baseUrl
    return yield* run(inEnvironment(environment, "python"), path("loop.py"), url, key)
  }).pipe(Effect.provide(server))
  return code === 0
}).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const partsOf = (name: string | undefined) => {
  if (name === "client" || name === "nano") return [client]
  if (name === "renderers") return [renderers.main]
  if (name === "openai") return [openai.main]
  if (name === "export") return [exported.main]
  return name === "cookbook" ? [cookbook.main] : [client, renderers.main, openai.main, exported.main, cookbook.main]
}

const main = Effect.gen(function* () {
  for (const part of partsOf(process.argv[2])) if (!(yield* part)) process.exitCode = 1
})

NodeRuntime.runMain(process.argv.includes("hub") ? hub.main : main)
