/** Runs a service in this process, for tests to kill. Arguments: its directory, and its port. Prints the URL when it listens. */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Embedded from "../../src/Embedded.ts"

const directory = process.argv[2]!
const announce = Effect.flatMap(NodeServer.baseUrl, (url) => Effect.sync(() => process.stdout.write(`${url}\n`)))

NodeRuntime.runMain(
  Layer.launch(
    Layer.effectDiscard(announce).pipe(
      Layer.provide(NodeServer.layer({ port: Number(process.argv[3] ?? 0) })),
      Layer.provide([TestEngine.layer({ record: false }), CheckpointStore.layerFileSystem(directory)]),
      Layer.provide(Embedded.layerStore(directory)),
      Layer.provide(NodeContext.layer)
    )
  )
)
