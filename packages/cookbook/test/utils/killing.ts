/** Runs that are killed again and again, and what they have in the end. */
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"
import { bundleProgram } from "../../../../scripts/bundle-program.mjs"
import * as Metrics from "../../src/Metrics.ts"
import * as Recovery from "../../src/Recovery.ts"
import * as RunDirectory from "../../src/RunDirectory.ts"
import { jsonLines } from "./runs.ts"
import * as tinyRl from "./tinyRl.ts"
import * as tiny from "./tinyRun.ts"

/** What a run has in the end: a line for each row and for the final adapter, to compare with another run. */
export type Ending = ReadonlyArray<string>

/** Whether a value of a row is equal in each run. */
const isSame = ([name]: readonly [string, unknown]): boolean => name !== "writer" && !name.startsWith("time/")

/** The rows without what depends on the time, and the SHA-256 of the tensors of the final state. */
export const endingOf = (path: string, checkpoints: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const rows = yield* jsonLines(join(path, "metrics.jsonl"))
    const last = (yield* jsonLines(join(path, "checkpoints.jsonl"))).at(-1)
    const files = Option.getOrThrow(CheckpointStore.directoryOf(yield* Path.Path, checkpoints, last.state_path))
    const hash = createHash("sha256")
    const tensors = (yield* fs.readDirectory(files)).filter((file) => file.endsWith(".safetensors")).sort()
    for (const file of tensors) hash.update(yield* fs.readFile(join(files, file)))
    return [
      ...rows.map((row) => JSON.stringify(Object.fromEntries(Object.entries(row).filter(isSame)))),
      `${last.batch} ${last.final}: ${tensors.join()} ${hash.digest("hex")}`
    ]
  })

/** How the run of a program learns. */
export type Kind = "supervised" | "rl" | "strict"

/** The run without interruption, or until the effect succeeds. */
export const runHere = (path: string, checkpoints: string, steps: number, stop?: Effect.Effect<unknown>) =>
  tiny
    .run(path, steps, stop)
    .pipe(
      Effect.scoped,
      Effect.provide(Metrics.layerSilent),
      Effect.provide(Embedded.layerServiceClient({ ...tiny.engine, checkpoints }))
    )

/** A synchronous run of reinforcement learning without interruption. */
export const runRlHere = (path: string, checkpoints: string, steps: number) =>
  tinyRl
    .run(path, steps)
    .pipe(
      Effect.scoped,
      Effect.provide(Metrics.layerSilent),
      Effect.provide(Embedded.layerServiceClient({ ...tiny.engine, checkpoints }))
    )

/** How often each group was trained, by the rows of a run. */
export const trainedGroups = (path: string) =>
  Effect.map(jsonLines(`${path}/metrics.jsonl`), (rows) => {
    const counts: Record<string, number> = {}
    for (const name of rows.flatMap((row) => Object.keys(row))) {
      const group = /^env\/(g\d+\.\d+)\/total_episodes$/.exec(name)?.[1]
      if (group !== undefined) counts[group] = (counts[group] ?? 0) + 1
    }
    return counts
  })

interface Child {
  readonly lines: () => number
  readonly first: Effect.Effect<string, Error>
  /** waits until so many lines are there, or the end, whose exit code it returns */
  readonly until: (lines: number) => Effect.Effect<number | null | undefined>
  readonly kill: Effect.Effect<void>
}

const start = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.map(
      Effect.promise(() => bundleProgram(fileURLToPath(new URL(script, import.meta.url)))),
      (program): Child => {
        const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] })
        let text = ""
        let code: number | null | undefined
        const waiting = new Set<() => void>()
        const wake = () => waiting.forEach((check) => check())
        child.stdout.on("data", (chunk) => {
          text += String(chunk)
          wake()
        })
        const ended = new Promise<void>((resolve) =>
          child.once("close", (exit) => {
            code = exit
            resolve()
            wake()
          })
        )
        const lines = () => text.split("\n").length - 1
        const until = (count: number) =>
          Effect.async<number | null | undefined>((resume) => {
            const check = () => {
              if (code === undefined && lines() < count) return
              waiting.delete(check)
              resume(Effect.succeed(code))
            }
            waiting.add(check)
            check()
          })
        return {
          lines,
          until,
          first: Effect.flatMap(until(1), (code) =>
            code === undefined
              ? Effect.succeed(text.split("\n")[0]!)
              : Effect.fail(new Error(`${script} ended: ${code}`))
          ),
          kill: Effect.promise(() => {
            child.kill("SIGKILL")
            return ended
          })
        }
      }
    ),
    ({ kill }) => kill
  )

/** Kills after a random number of rows and a random part of a step. */
const killSoon = Effect.fnUntraced(function* (child: Child, rows: number) {
  const code = yield* child.until(child.lines() + (yield* Random.nextIntBetween(0, rows)))
  yield* Effect.sleep(yield* Random.nextIntBetween(0, 25))
  yield* child.kill
  return code
})

/** Runs the program, and kills it so many times. `between` runs after each. Then it may end. */
export const killProgram = (
  path: string,
  checkpoints: string,
  options: { readonly steps: number; readonly kills: number; readonly rows: number; readonly kind?: Kind | undefined },
  between: Effect.Effect<void, unknown, FileSystem.FileSystem> = Effect.void
) =>
  Effect.gen(function* () {
    const { kills, kind = "supervised", rows, steps } = options
    const begin = start("tinyProgram.ts", path, checkpoints, String(steps), kind)
    for (let kill = 0; kill < kills; kill++) {
      const code = yield* Effect.scoped(
        Effect.gen(function* () {
          const child = yield* begin
          // its start takes long: most kills are behind the first row
          if (kill % 5 !== 4) yield* child.until(1)
          return yield* killSoon(child, rows)
        })
      )
      if (code === 0) return yield* Effect.fail(new Error(`the run ended after ${kill} kills: give it more steps`))
      yield* between
    }
    const code = yield* Effect.scoped(Effect.flatMap(begin, (child) => child.until(Number.POSITIVE_INFINITY)))
    if (code !== 0) return yield* Effect.fail(new Error(`the program ended with ${code}`))
  })

const clientOf = (baseUrl: string) =>
  ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl }).pipe(Layer.provide(FetchHttpClient.layer))

/** Trains in this process, and kills the service so many times. A supervisor restarts the run. */
export const killService = (
  path: string,
  checkpoints: string,
  options: { readonly steps: number; readonly kills: number; readonly rows: number }
) =>
  Effect.gen(function* () {
    const { kills, rows, steps } = options
    let seen = 0
    let wanted = { rows: Number.POSITIVE_INFINITY, reached: yield* Deferred.make<void>() }
    const sink: Metrics.Sink = () =>
      Effect.suspend(() => (++seen >= wanted.rows ? Deferred.succeed(wanted.reached, undefined) : Effect.void))
    const first = yield* Effect.acquireRelease(
      Effect.suspend(() => start("tinyService.ts", checkpoints, "0")),
      () => Effect.void
    )
    const url = yield* first.first
    const port = new URL(url).port
    const training = yield* tiny.run(path, steps).pipe(
      Effect.scoped,
      Effect.provide(Layer.merge(Metrics.layer([Effect.succeed(sink)]), clientOf(url))),
      (run) =>
        Recovery.supervise(run, {
          schedule: Schedule.intersect(Schedule.spaced("200 millis"), Schedule.recurs(50)),
          progress: RunDirectory.progress(path)
        }),
      Effect.fork
    )
    let service = first
    for (let kill = 0; kill < kills; kill++) {
      wanted = { rows: seen + 1 + (yield* Random.nextIntBetween(0, rows)), reached: yield* Deferred.make<void>() }
      const ended = yield* Effect.raceFirst(Effect.as(Deferred.await(wanted.reached), undefined), Fiber.await(training))
      if (ended !== undefined) {
        yield* ended
        return yield* Effect.fail(new Error(`the run ended after ${kill} kills: give it more steps`))
      }
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 25))
      yield* service.kill
      service = yield* start("tinyService.ts", checkpoints, port)
      yield* service.first
    }
    yield* Fiber.join(training)
  }).pipe(Effect.scoped)

/** Moves the last record one step back, as a program does that saves behind later steps than it records. */
export const repeatStep = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = `${path}/checkpoints.jsonl`
    const records = yield* jsonLines(file)
    const { batch, ...last } = records.at(-1)
    yield* fs.writeFileString(
      file,
      [...records.slice(0, -1), { ...last, batch: batch - 1 }].map((record) => `${JSON.stringify(record)}\n`).join("")
    )
  })
