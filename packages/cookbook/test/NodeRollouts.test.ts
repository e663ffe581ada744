import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Env from "../src/Env.ts"
import * as clusterFiles from "../src/internal/cluster/files.ts"
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
  it.effect("read no file that is larger than an episode can be", () =>
    Effect.gen(function* () {
      const files = yield* clusterFiles.make("/shared")
      const key = { run: "a", attempt: "b", step: 0, version: 0, group: 0, member: 0, failures: 0 }
      const answer = { path: "a/b/0-0-0/0-0.json", hash: "", bytes: 3 }
      for (const read of [Effect.asVoid(files.find(key)), Effect.asVoid(files.read(key, answer))]) {
        const error = yield* Effect.flip(read)
        assert.include(error.message, "takes 268435457 bytes: the most is 268435456")
      }
    }).pipe(
      Effect.provide([
        FileSystem.layerNoop({
          stat: () => Effect.succeed({ size: FileSystem.Size(2 ** 28 + 1) } as FileSystem.File.Info),
          readFile: () => Effect.dieMessage("it is read")
        }),
        Path.layer
      ])
    )
  )

  it.scopedLive("fail with what the runner says: another source, a group of another size, an episode that fails", () =>
    Effect.gen(function* () {
      const all = yield* processes.make({ failing: "0.1.2" })
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
        assert.match(yield* failing({}), /0-0-1\/2-0.* failed in its runner: .*failed/)
      }).pipe(Effect.provide(all.together))
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
