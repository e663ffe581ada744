/** The trainer. Without the layer `RolloutsLive` it would play the episodes itself. */
import * as BaseModel from "@effect-tinker/cookbook/BaseModel"
import * as LearningRate from "@effect-tinker/cookbook/LearningRate"
import * as Metrics from "@effect-tinker/cookbook/Metrics"
import * as NodeRollouts from "@effect-tinker/cookbook/NodeRollouts"
import * as Rl from "@effect-tinker/cookbook/Rl"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as cluster from "./cluster.ts"
import { groups } from "./task.ts"

const program = Effect.gen(function* () {
  const base = yield* BaseModel.BaseModel
  const { rows } = yield* Rl.run({
    model: { base_model: base.name, rank: 16, seed: 0 },
    groups: yield* groups,
    steps: Number(process.env["TINKER_STEPS"] ?? 4),
    learningRate: LearningRate.constant(2e-3),
    rollouts: { sampling: { max_tokens: 8 } },
    loop: { mode: "oldest_first", maxLag: 1 }
  })
  for (const row of rows) yield* Console.log(`step ${row.step}: reward ${row["env/all/reward/total"]}`)
})

const RolloutsLive = NodeRollouts.layerCluster({ directory: cluster.directory })

program.pipe(
  Effect.scoped,
  Effect.provide(Layer.merge(RolloutsLive, Metrics.layerSilent).pipe(Layer.provideMerge(cluster.layer()))),
  NodeRuntime.runMain
)
