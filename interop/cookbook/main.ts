/** Runs the training loops of tinker-cookbook against this service, with the engine that really trains. */
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import { inEnvironment, install, prepare, run } from "../python.ts"

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const environment = path(".venv")

// the shipped model under a name that the cookbook knows, since its recipes look up a renderer by the name
const model = "meta-llama/Llama-3.2-1B"

/** Makes the environment. Its packages are 4 GB, mostly PyTorch. Succeeds with the reason to skip, if there is one. */
const prepareCookbook = Effect.gen(function* () {
  const what = "tinker-cookbook"
  const reason = yield* prepare(environment, what, ["-r", path("requirements.txt")], "15 minutes")
  return reason ?? (yield* install(environment, what, ["--no-deps", "tinker-cookbook==0.6.1"], "2 minutes"))
})

/** Succeeds with whether no loop failed. */
export const main = Effect.gen(function* () {
  const reason = yield* prepareCookbook
  if (reason !== undefined) {
    yield* Console.log(`skipped: ${reason}`)
    return true
  }
  const fs = yield* FileSystem.FileSystem
  const checkpoints = yield* fs.makeTempDirectoryScoped({ prefix: "interop-" })
  const directory = yield* ModelDirectory.nano
  const JaxEngine = yield* Effect.promise(() => import("@effect-tinker/engine/JaxEngine"))
  const server = NodeServer.layer().pipe(
    Layer.provide([
      JaxEngine.layer({ models: [{ name: model, directory }], localTokenizers: true }),
      CheckpointStore.layerFileSystem(checkpoints)
    ]),
    Layer.provide(Store.layerMemory)
  )
  return yield* Effect.gen(function* () {
    const url = yield* NodeServer.baseUrl
    const code = yield* run(inEnvironment(environment, "python"), path("loops.py"), url, "tml-any", model, directory)
    return code === 0
  }).pipe(Effect.provide(server))
}).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
