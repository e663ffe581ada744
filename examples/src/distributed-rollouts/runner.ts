/** A runner: plays episodes until it is stopped. Argument: its port. */
import * as NodeRollouts from "@effect-tinker/cookbook/NodeRollouts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as cluster from "./cluster.ts"
import { groups } from "./task.ts"

const address = { host: "127.0.0.1", port: Number(process.argv[2]) }

const RunnerLive = Layer.unwrapEffect(
  Effect.map(groups, (groups) => NodeRollouts.layerRunner({ groups, directory: cluster.directory }))
)

RunnerLive.pipe(Layer.provide(cluster.layer(address)), Layer.launch, NodeRuntime.runMain)
