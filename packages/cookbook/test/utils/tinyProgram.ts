/**
 * A program that trains on the embedded service until the test kills it. Arguments: the directory of the run, that of the
 * checkpoints, the number of steps, and what kind of run. It prints a line for each row.
 */
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metrics from "../../src/Metrics.ts"
import * as tinyRl from "./tinyRl.ts"
import * as tiny from "./tinyRun.ts"

const [path, checkpoints, steps, kind] = process.argv.slice(2)

const MetricsLive = Metrics.layer([
  Effect.succeed(({ step }) => Effect.sync(() => void process.stdout.write(`row ${step}\n`)))
])

const training = Effect.gen(function* () {
  const count = Number(steps)
  if (kind === "supervised") yield* tiny.run(path!, count)
  else yield* tinyRl.run(path!, count, kind === "strict" ? { mode: "strict", maxLag: 1 } : { mode: "synchronous" })
})

training.pipe(
  Effect.scoped,
  Effect.provide(Layer.merge(MetricsLive, Embedded.layerServiceClient({ ...tiny.engine, checkpoints }))),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
