/** A service with a tiny model, for the test to kill. Arguments: its directory and its port. Prints its URL. */
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as tiny from "./tinyRun.ts"

const [directory, port] = process.argv.slice(2)

const announce = Effect.flatMap(NodeServer.baseUrl, (url) => Effect.sync(() => process.stdout.write(`${url}\n`)))

NodeRuntime.runMain(
  Layer.launch(
    Layer.effectDiscard(announce).pipe(
      Layer.provide(NodeServer.layer({ port: Number(port) })),
      Layer.provide([Embedded.layerEngine(tiny.engine), CheckpointStore.layerFileSystem(directory!)]),
      Layer.provide(Embedded.layerStore(directory!)),
      Layer.provide(NodeContext.layer)
    )
  )
)
