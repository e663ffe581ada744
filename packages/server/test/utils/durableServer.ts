/** Runs a service in a separate process. Arguments: the directory of checkpoints and the port. Prints the URL when it listens. */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const store = CheckpointStore.layerFileSystem(process.argv[2]!).pipe(Layer.provide(NodeContext.layer))

const announce = Effect.flatMap(NodeServer.baseUrl, (url) => Effect.sync(() => process.stdout.write(`${url}\n`)))

NodeRuntime.runMain(
  Layer.launch(
    Layer.effectDiscard(announce).pipe(
      Layer.provide(NodeServer.layer({ port: Number(process.argv[3] ?? 0) })),
      Layer.provide([TestEngine.layer(), store]),
      Layer.provide(Store.layerMemory)
    )
  )
)
