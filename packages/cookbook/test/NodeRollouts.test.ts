import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Env from "../src/Env.ts"
import * as Rl from "../src/Rl.ts"
import * as Rollouts from "../src/Rollouts.ts"
import * as processes from "./utils/clusterProcesses.ts"
import * as cluster from "./utils/clusterRun.ts"

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
