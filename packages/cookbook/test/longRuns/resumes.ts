/**
 * `npm run resumes -- --kills 50`: kills a program that trains, and a service that one trains on, so many times each, at
 * random points, and compares every loss and the final weights with those of a run that was not killed. Then it repeats a
 * step after each kill, which must show. The same for a program that learns from rewards; one that samples while it trains
 * must have trained each group once. With `--only rewards`, that alone.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import { parseArgs } from "node:util"
import * as killing from "../utils/killing.ts"
import * as tinyRl from "../utils/tinyRl.ts"

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
    only: { type: "string" }
  }
})
const kills = Number(values.kills)
/** rows before a kill, at most */
const rows = 5
const steps = kills * (rows + 2) + 10

const directories = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return { path: yield* fs.makeTempDirectoryScoped(), checkpoints: yield* fs.makeTempDirectoryScoped() }
})

/** How many lines of two endings differ. */
const differences = (a: killing.Ending, b: killing.Ending): number =>
  a.filter((line, i) => line !== b[i]).length + Math.abs(a.length - b.length)

const compare = (what: string, expected: killing.Ending, found: killing.Ending, mustDiffer: boolean) =>
  Effect.sync(() => {
    const count = differences(expected, found)
    const isSame = expected.at(-1) === found.at(-1)
    const passed = mustDiffer ? count > 1 && !isSame : count === 0
    console.log(
      `${what}: ${found.length - 1} rows, ${count} lines differ, weights ${isSame ? "equal" : "differ"}: ${passed ? "passed" : "FAILED"}`
    )
    if (!passed) process.exitCode = 1
  })

const fromRewards = Effect.gen(function* () {
  const whole = yield* directories
  yield* killing.runRlHere(whole.path, whole.checkpoints, steps)
  const expected = yield* killing.endingOf(whole.path, whole.checkpoints)

  const killed = yield* directories
  yield* killing.killProgram(killed.path, killed.checkpoints, { steps, kills, rows, kind: "rl" })
  const found = yield* killing.endingOf(killed.path, killed.checkpoints)
  yield* compare(`the program that learns from rewards killed ${kills} times`, expected, found, false)

  const strict = yield* directories
  yield* killing.killProgram(strict.path, strict.checkpoints, { steps, kills, rows, kind: "strict" })
  const counts = Object.values(yield* killing.trainedGroups(strict.path))
  const passed = counts.length === steps * tinyRl.perStep && counts.every((count) => count === 1)
  console.log(
    `one that samples while it trains killed ${kills} times: ${counts.length} groups of ${steps * tinyRl.perStep}, ` +
      `${counts.filter((count) => count !== 1).length} not once: ${passed ? "passed" : "FAILED"}`
  )
  if (!passed) process.exitCode = 1
})

const supervised = Effect.gen(function* () {
  const whole = yield* directories
  yield* killing.runHere(whole.path, whole.checkpoints, steps)
  const expected = yield* killing.endingOf(whole.path, whole.checkpoints)
  console.log(`${steps} steps without a kill: ${expected.at(-1)}`)

  const killed = yield* directories
  yield* killing.killProgram(killed.path, killed.checkpoints, { steps, kills, rows })
  yield* compare(
    `the program killed ${kills} times`,
    expected,
    yield* killing.endingOf(killed.path, killed.checkpoints),
    false
  )

  const served = yield* directories
  yield* killing.killService(served.path, served.checkpoints, { steps, kills, rows })
  yield* compare(
    `the service killed ${kills} times`,
    expected,
    yield* killing.endingOf(served.path, served.checkpoints),
    false
  )

  const broken = yield* directories
  yield* killing.killProgram(
    broken.path,
    broken.checkpoints,
    { steps, kills: 1, rows },
    killing.repeatStep(broken.path)
  )
  yield* compare("one step repeated", expected, yield* killing.endingOf(broken.path, broken.checkpoints), true)
})

const program = Effect.andThen(values.only === "rewards" ? Effect.void : supervised, fromRewards)

await Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.withRandom(Random.make(values.seed)),
    Effect.provide(NodeContext.layer),
    Effect.provide(Logger.minimumLogLevel(LogLevel.Error))
  )
)
