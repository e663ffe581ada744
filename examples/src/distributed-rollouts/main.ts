/** `npm run distributed`: starts a service, two runners and a trainer, each in a process, and ends with the trainer. */
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Command from "@effect/platform/Command"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"

const ports = [34_001, 34_002]

const programs =
  (url: string, directory: string) =>
  (name: string, ...args: ReadonlyArray<string>) => {
    const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
    return Command.make(process.execPath, ...process.execArgv, file, ...args).pipe(
      Command.env({ TINKER_BASE_URL: url, TINKER_API_KEY: "tml-local", ROLLOUTS: directory }),
      Command.stdout("inherit"),
      Command.stderr("inherit")
    )
  }

/** The embedded service behind a port, with its checkpoints in a directory. */
const layerService = (checkpoints: string) =>
  NodeServer.layer({ port: 0 }).pipe(
    Layer.provide([Embedded.layerEngine(), CheckpointStore.layerFileSystem(checkpoints)]),
    Layer.provide(Embedded.layerStore(checkpoints))
  )

const main = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "rollouts-" })
  const service = yield* Layer.build(layerService(`${directory}/checkpoints`))
  const program = programs(yield* Effect.provide(NodeServer.baseUrl, service), directory)
  for (const port of ports) yield* Command.start(program("runner", String(port)))
  const code = yield* Command.exitCode(program("trainer"))
  if (code !== 0) yield* Effect.fail(`the trainer ended with ${code}`)
})

NodeRuntime.runMain(main.pipe(Effect.scoped, Effect.provide(NodeContext.layer)))
