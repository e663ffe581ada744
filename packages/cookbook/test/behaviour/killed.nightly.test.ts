import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as killing from "../utils/killing.ts"
import * as tinyRl from "../utils/tinyRl.ts"

const steps = 18

const directories = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return { path: yield* fs.makeTempDirectoryScoped(), checkpoints: yield* fs.makeTempDirectoryScoped() }
})

/** What the run has in the end if nothing happens to it. */
const whole = Effect.gen(function* () {
  const { checkpoints, path } = yield* directories
  yield* killing.runHere(path, checkpoints, steps)
  return yield* killing.endingOf(path, checkpoints)
})

// connections that break with the service are warnings
const quiet = Logger.minimumLogLevel(LogLevel.Error)

// starts a service from its sources several times
const timeout = { timeout: 240_000 }

describe("a supervised run that is killed", () => {
  it.scopedLive(
    "ends with the losses and the weights of one that was not, in the program or in the service",
    () =>
      Effect.gen(function* () {
        const expected = yield* whole
        assert.strictEqual(expected.length, steps + 2)
        const program = yield* directories
        yield* killing.killProgram(program.path, program.checkpoints, { steps, kills: 2, rows: 5 })
        assert.deepStrictEqual(yield* killing.endingOf(program.path, program.checkpoints), expected)
        const service = yield* directories
        yield* killing.killService(service.path, service.checkpoints, { steps, kills: 1, rows: 8 })
        assert.deepStrictEqual(yield* killing.endingOf(service.path, service.checkpoints), expected)
      }).pipe(Effect.withRandom(Random.make("kills")), Effect.provide([NodeContext.layer, quiet])),
    timeout
  )

  it.scopedLive(
    "has the rows and the weights of one that was not, when it learns from rewards",
    () =>
      Effect.gen(function* () {
        const undisturbed = yield* directories
        yield* killing.runRlHere(undisturbed.path, undisturbed.checkpoints, steps)
        const expected = yield* killing.endingOf(undisturbed.path, undisturbed.checkpoints)
        const killed = yield* directories
        const often = { steps, kills: 2, rows: 5 }
        yield* killing.killProgram(killed.path, killed.checkpoints, { ...often, kind: "rl" })
        assert.deepStrictEqual(yield* killing.endingOf(killed.path, killed.checkpoints), expected)
        // what it samples while it trains depends on the time, but each group is trained once
        const strict = yield* directories
        yield* killing.killProgram(strict.path, strict.checkpoints, { ...often, kind: "strict" })
        const counts = yield* killing.trainedGroups(strict.path)
        assert.lengthOf(Object.keys(counts), steps * tinyRl.perStep)
        assert.isTrue(Object.values(counts).every((count) => count === 1))
      }).pipe(Effect.withRandom(Random.make("kills of rl")), Effect.provide([NodeContext.layer, quiet])),
    timeout
  )

  it.scopedLive(
    "has other losses and other weights if one step is repeated",
    () =>
      Effect.gen(function* () {
        const expected = yield* whole
        const { checkpoints, path } = yield* directories
        const stopped = yield* Deferred.make<void>()
        yield* Deferred.succeed(stopped, undefined)
        const stop = Effect.andThen(Effect.sleep("300 millis"), Deferred.await(stopped))
        const { steps: done } = yield* killing.runHere(path, checkpoints, steps, stop)
        assert.isTrue(done > 0 && done < steps, `it stopped after ${done} steps`)
        yield* killing.repeatStep(path)
        yield* killing.runHere(path, checkpoints, steps)
        const broken = yield* killing.endingOf(path, checkpoints)
        assert.strictEqual(broken.length, expected.length)
        assert.notStrictEqual(broken.at(-1), expected.at(-1))
        assert.notDeepEqual(broken.slice(0, -1), expected.slice(0, -1))
      }).pipe(Effect.provide(NodeContext.layer)),
    timeout
  )
})
