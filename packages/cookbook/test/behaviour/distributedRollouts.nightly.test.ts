import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Rl from "../../src/Rl.ts"
import * as processes from "../utils/clusterProcesses.ts"
import * as cluster from "../utils/clusterRun.ts"

// several processes start from their sources
const timeout = { timeout: 240_000 }
const steps = 4
const millis = 700

/** Trains, while something happens to the processes. */
const trainWhile = (
  all: Effect.Effect.Success<ReturnType<typeof processes.make>>,
  happens: Effect.Effect<unknown, unknown, Scope.Scope>
) =>
  Effect.gen(function* () {
    const training = yield* Effect.fork(
      Rl.run(cluster.options(all.where(0), steps)).pipe(Effect.scoped, Effect.provide(all.layer))
    )
    yield* happens
    const { rows } = yield* training
    assert.deepStrictEqual(
      rows.map((row) => row["env/all/total_episodes"]),
      Array.from({ length: steps }, () => cluster.perStep * cluster.size)
    )
    assert.deepStrictEqual(yield* all.left, { rows: 0, files: [] })
  })

const isBegin = (line: string) => line.startsWith("begin")

/** Kills one of two runners that has begun episodes. */
const killOne = (database?: string) =>
  Effect.gen(function* () {
    const all = yield* processes.make({ database })
    const victim = yield* all.runner(millis)
    yield* all.runner(millis)
    const kill = Effect.andThen(
      all.until((line) => isBegin(line) && line.endsWith(` ${victim.pid}`)),
      victim.kill
    )
    yield* trainWhile(all, kill)
    processes.checkLog(yield* all.lines, [victim.pid], steps)
  })

describe("rollouts on a cluster", () => {
  it.scopedLive(
    "removes what is trained behind each checkpoint, and gives a new part no answer of an older one",
    () =>
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
      }).pipe(Effect.provide(NodeContext.layer)),
    timeout
  )

  it.scopedLive("survive a runner that is killed", () => Effect.provide(killOne(), NodeContext.layer), timeout)

  it.scopedLive(
    "use a runner that is added while they run",
    () =>
      Effect.gen(function* () {
        const all = yield* processes.make()
        const first = yield* all.runner(millis)
        const add = Effect.andThen(all.until(isBegin), all.runner(millis))
        yield* trainWhile(all, add)
        const lines = yield* all.lines
        processes.checkLog(lines, [first.pid], steps, true)
        assert.strictEqual(new Set(lines.map((line) => line.split(" ")[2])).size, 2, "both runners played")
      }).pipe(Effect.provide(NodeContext.layer)),
    timeout
  )

  it.scopedLive(
    "survive a database that another process holds for longer than a lock of a shard lasts",
    () =>
      Effect.gen(function* () {
        const all = yield* processes.make()
        yield* all.runner(millis)
        const hold = Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          yield* sql.withTransaction(Effect.sleep("10 seconds"))
        }).pipe(Effect.provide(cluster.layerDatabase(`${all.directory}/cluster.db`)))
        yield* trainWhile(all, Effect.andThen(all.until(isBegin), hold))
        processes.checkLog(yield* all.lines, [], steps, true)
      }).pipe(Effect.provide(NodeContext.layer)),
    timeout
  )

  it.scopedLive(
    "survive a runner that is killed, in PostgreSQL",
    (context) =>
      processes.postgres.pipe(
        Effect.flatMap((url) =>
          url.startsWith("postgres:") ? killOne(url) : Effect.sync(() => context.skip(`no PostgreSQL: ${url}`))
        ),
        Effect.provide(NodeContext.layer)
      ),
    timeout
  )
})
