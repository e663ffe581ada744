import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Env from "../src/Env.ts"
import * as Rl from "../src/Rl.ts"
import * as Rollouts from "../src/Rollouts.ts"
import * as processes from "./utils/clusterProcesses.ts"
import * as cluster from "./utils/clusterRun.ts"

const steps = 2
// processes start from their sources
const timeout = { timeout: 120_000 }

describe("Rollouts.layerLocal", () => {
  it.effect("plays where no layer would", () =>
    Effect.gen(function* () {
      const service = yield* Rollouts.Rollouts
      assert.isFalse(service.needsPaths)
      assert.strictEqual(service, yield* Effect.provide(Rollouts.Rollouts, Rollouts.layerLocal))
    })
  )
})

describe("NodeRollouts", () => {
  it.scopedLive(
    "loses no episode of a runner that is killed, and plays none that was answered again",
    () =>
      Effect.gen(function* () {
        const all = yield* processes.make()
        const victim = yield* all.runner(700)
        yield* all.runner(700)
        const training = yield* Effect.fork(
          Rl.run(cluster.options(all.where(0), steps)).pipe(Effect.scoped, Effect.provide(all.layer))
        )
        yield* all.until((line) => line.startsWith("begin") && line.endsWith(` ${victim.pid}`))
        yield* victim.kill
        const { rows } = yield* training
        assert.deepStrictEqual(
          rows.map((row) => row["env/all/total_episodes"]),
          [12, 12]
        )
        processes.checkLog(yield* all.lines, [victim.pid], steps)
        assert.deepStrictEqual(yield* all.left, { rows: 0, files: [] })
      }).pipe(Effect.provide(NodeContext.layer)),
    timeout
  )

  it.scopedLive("removes what is trained behind each checkpoint, and gives a new part no answer of an older one", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const all = yield* processes.make()
      const path = `${all.directory}/run`
      const sizes: Array<number> = []
      const options = {
        ...cluster.options(all.where(0), 4),
        directory: { path, resume: true },
        checkpoints: { every: 1, final: true },
        // a part that ends as a process does that is killed: nothing is cleaned up
        evaluations: [
          {
            every: 1,
            run: () =>
              Effect.as(
                Effect.map(Effect.orDie(all.left), ({ rows }) => void sizes.push(rows)),
                {}
              )
          }
        ]
      }
      yield* Effect.gen(function* () {
        yield* Rl.run({ ...options, alarms: [{ metric: "step", above: 1 }] }).pipe(Effect.scoped, Effect.flip)
        const begun = (yield* all.lines).filter((line) => line.startsWith("begin 2.")).length
        const { from } = yield* Effect.scoped(Rl.run(options))
        // the step was played before, and no checkpoint has it
        assert.deepStrictEqual([from, begun], [2, 12])
        assert.strictEqual((yield* all.lines).filter((line) => line.startsWith("begin 2.")).length, 24)
      }).pipe(Effect.provide(all.together))
      // the episodes of a step are there while it trains, and not longer
      assert.isTrue(
        sizes.every((rows) => rows <= 24),
        sizes.join()
      )
      assert.deepStrictEqual(yield* all.left, { rows: 0, files: [] })
      assert.isBelow(Number((yield* fs.stat(`${all.directory}/cluster.db`)).size), 200_000)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("fails with the reason if an episode fails, or the runner has another source of groups", () =>
    Effect.gen(function* () {
      const all = yield* processes.make()
      const options = cluster.options(all.where(0), 1)
      const failing = (groups: Partial<typeof options.groups>) =>
        Rl.run({ ...options, groups: { ...options.groups, ...groups } }).pipe(
          Effect.scoped,
          Effect.flip,
          Effect.map((error) => (error instanceof Rollouts.RolloutFailed ? error.message : String(error)))
        )
      yield* Effect.gen(function* () {
        const other = yield* failing({ fingerprint: "other" })
        assert.include(other, "another source of groups (other of the trainer")
        const at = () =>
          Effect.succeed([Env.problem({ prompt: [65], stop: "\n", size: 5, decode: String, grade: () => 0 })])
        const size = yield* failing({ at })
        assert.include(size, "is one of 5 in its group; the source of the runner makes a group of 3")
      }).pipe(Effect.provide(all.together))
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
