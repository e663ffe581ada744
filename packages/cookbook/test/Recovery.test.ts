import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Engine from "@effect-tinker/server/Engine"
import { withWarnings } from "@effect-tinker/testing/Logs"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import * as Metrics from "../src/Metrics.ts"
import * as Recovery from "../src/Recovery.ts"
import * as RunDirectory from "../src/RunDirectory.ts"
import * as Supervised from "../src/Supervised.ts"
import * as runs from "./utils/runs.ts"

const sessionLost = new TinkerError.SessionLost({ method: "heartbeat", sessionId: "s", reason: "it was idle" })

describe("a supervised run that fails", () => {
  it.effect("is restarted while it makes progress, and given up by a typed error when it makes none", () =>
    Effect.gen(function* () {
      let starts = 0
      // fails each time, and makes progress in the first five
      const run = Effect.suspend(() => (starts++, sessionLost))
      const supervised = Recovery.supervise(run, {
        schedule: Schedule.intersect(Schedule.spaced("1 second"), Schedule.recurs(2)),
        progress: Effect.sync(() => Math.min(starts, 5))
      })
      const fiber = yield* Effect.fork(withWarnings(Effect.flip(supervised)))
      yield* TestClock.adjust("1 minute")
      const { lines, value } = yield* Fiber.join(fiber)
      assert.instanceOf(value, Recovery.GaveUp)
      if (!(value instanceof Recovery.GaveUp)) return
      // five with progress, and two restarts without
      assert.deepStrictEqual([value.reason, value.attempts, starts], ["SessionLost", 7, 7])
      assert.strictEqual(lines.length, 7)
    })
  )

  it.effect("is not restarted for an error that would come again", () =>
    Effect.gen(function* () {
      let starts = 0
      const invalid = new TinkerError.InvalidInput({ method: "forwardBackward", path: "data", reason: "is empty" })
      const error = yield* Effect.flip(Recovery.supervise(Effect.suspend(() => (starts++, invalid))))
      assert.deepStrictEqual([error, starts], [invalid, 1])
    })
  )

  it.scoped("goes on from its last checkpoint with the losses of a run that did not fail", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* fs.makeTempDirectoryScoped()
      const whole = yield* Effect.provide(Supervised.run(runs.options), runs.layer)
      // the machine of the engine fails twice, in different steps
      let updates = 0
      const server = yield* TestServer.make({
        engine: {
          before: ({ name }) =>
            name === "optimStep" && [3, 7].includes(++updates)
              ? new Engine.EngineError({ reason: "out of memory", category: "server" })
              : Effect.void
        }
      })
      const once = Supervised.run({
        ...runs.options,
        checkpoints: { rolling: { every: 1 } },
        directory: { path, resume: true }
      }).pipe(Effect.scoped, Effect.provide(Layer.provide(runs.client, server.layer)))
      const { lines, value } = yield* withWarnings(
        Recovery.supervise(once, { schedule: Schedule.recurs(1), progress: RunDirectory.progress(path) })
      )
      assert.strictEqual(lines.filter((line) => line.includes("is restarted")).length, 2)
      assert.deepStrictEqual(runs.lossesOf(value), runs.lossesOf(whole))
    }).pipe(Effect.provide(Layer.merge(Metrics.layerSilent, NodeContext.layer)))
  )
})
