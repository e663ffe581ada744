/** Reads the directory of a run into what a report shows, in bounded memory. */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { optionalKey } from "../effect/optionalKey.ts"
import type { Run, Sample, Span } from "./run.ts"
import { TableBuilder } from "./table.ts"
import { Thinned } from "./thinned.ts"

/**
 * A report could not be read or written.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReportError extends Schema.TaggedError<ReportError>("@effect-tinker/cookbook/NodeReport/ReportError")(
  "ReportError",
  { path: Schema.String, reason: Schema.String, cause: optionalKey(Schema.Defect) }
) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

const maxTimings = 200
const maxSamples = 500
const maxCheckpoints = 1_000
/** Characters of a prompt or an answer. */
const maxText = 8_000
/** A line beyond is not one of a run. */
const maxLine = 1 << 20
/** Bytes of `config.json` and `data.json`. */
const maxFile = 4 << 20

interface JsonObject {
  readonly [key: string]: unknown
}

const isObject = (value: unknown): value is JsonObject =>
  value !== null && typeof value === "object" && !Array.isArray(value)

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const orFail = <A, R>(effect: Effect.Effect<A, PlatformError, R>, path: string): Effect.Effect<A, ReportError, R> =>
  Effect.mapError(effect, (cause) => new ReportError({ path, reason: "cannot be read", cause }))

/**
 * Calls `use` with the object of each line, and counts those that hold none. The last line of a run that goes on may be
 * incomplete, and is not counted.
 */
const readLines = Effect.fnUntraced(function* (path: string, use: (line: JsonObject) => boolean) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* orFail(fs.exists(path), path))) return 0
  let bad = 0
  let isLastBad = false
  yield* fs.stream(path).pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) =>
      Effect.sync(() => {
        if (line.trim() === "") return
        const value = line.length > maxLine ? undefined : parse(line)
        isLastBad = !(isObject(value) && use(value))
        if (isLastBad) bad++
      })
    ),
    (stream) => orFail(stream, path)
  )
  return isLastBad ? bad - 1 : bad
})

/** The value of a JSON file; `null` without one. */
const readFile = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* orFail(fs.exists(path), path))) return null
  const { size } = yield* orFail(fs.stat(path), path)
  if (size > maxFile) return `${path} is too large to be shown`
  return parse(yield* orFail(fs.readFileString(path), path)) ?? null
})

const spansOf = (line: JsonObject): ReadonlyArray<Span> | undefined => {
  const { spans } = line
  const isSpan = (span: unknown): span is Span =>
    isObject(span) &&
    typeof span["name"] === "string" &&
    [span["duration"], span["wall_start"], span["wall_end"]].every((value) => Number.isFinite(value))
  return Array.isArray(spans) ? spans.filter(isSpan).slice(0, 1_000) : undefined
}

const cut = (text: string): string => (text.length > maxText ? `${text.slice(0, maxText)} …` : text)

const sampleOf = (line: JsonObject): Sample | undefined => {
  const { prompt, step, text, ...rest } = line
  if (typeof step !== "number" || typeof text !== "string") return undefined
  const more = Object.entries(rest).filter(([, value]) => typeof value === "number" || typeof value === "string")
  return {
    step,
    ...(typeof prompt === "string" ? { prompt: cut(prompt) } : {}),
    text: cut(text),
    ...Object.fromEntries(more.map(([key, value]) => [key, typeof value === "string" ? cut(value) : value]))
  }
}

/** Reads what lines hold into lists of bounded length. */
const readLists = Effect.fnUntraced(function* (file: (name: string) => string) {
  const table = new TableBuilder()
  const timings = new Thinned<Run["timings"][number]>(maxTimings)
  const samples = new Thinned<Sample>(maxSamples)
  const checkpoints = new Thinned<JsonObject>(maxCheckpoints)
  const bad = {
    "metrics.jsonl": yield* readLines(file("metrics.jsonl"), (line) => {
      if (typeof line["step"] !== "number") return false
      table.add(line)
      return true
    }),
    "timing_spans.jsonl": yield* readLines(file("timing_spans.jsonl"), (line) => {
      const spans = spansOf(line)
      if (typeof line["step"] !== "number" || spans === undefined) return false
      if (spans.length > 0) timings.add({ step: line["step"], spans })
      return true
    }),
    "samples.jsonl": yield* readLines(file("samples.jsonl"), (line) => {
      const sample = sampleOf(line)
      if (sample !== undefined) samples.add(sample)
      return sample !== undefined
    }),
    "checkpoints.jsonl": yield* readLines(file("checkpoints.jsonl"), (line) => {
      checkpoints.add(line)
      return true
    })
  }
  return {
    table: table.build(),
    timings: timings.values,
    samples: samples.values,
    checkpoints: checkpoints.values,
    bad
  }
})

/** @internal */
export const read = Effect.fn("NodeReport.read")(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const absolute = path.resolve(directory)
  const file = (name: string) => path.join(absolute, name)
  // a run that has begun has a configuration, and no rows yet
  const isRun = Effect.zipWith(fs.exists(file("metrics.jsonl")), fs.exists(file("config.json")), (a, b) => a || b)
  if (!(yield* orFail(isRun, absolute))) {
    return yield* new ReportError({ path: absolute, reason: "is not the directory of a run: it has no metrics.jsonl" })
  }
  const { bad, checkpoints, samples, table: built, timings } = yield* readLists(file)
  const { omittedColumns, ...table } = built
  const notes = Object.entries(bad)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${count === 1 ? "line" : "lines"} of ${name} could not be read`)
  if (omittedColumns > 0) notes.push(`${omittedColumns} more columns are not shown`)
  return {
    name: path.basename(absolute),
    ...table,
    timings,
    samples,
    checkpoints,
    config: yield* readFile(file("config.json")),
    data: yield* readFile(file("data.json")),
    notes
  } satisfies Run
})

const files = ["metrics.jsonl", "timing_spans.jsonl", "samples.jsonl", "checkpoints.jsonl", "config.json", "data.json"]

/** A text that changes when a file of the run does: sizes and times of change. @internal */
export const versionOf = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const stats = yield* Effect.forEach(files, (name) => Effect.option(fs.stat(path.join(directory, name))))
  return stats
    .map(
      Option.match({
        onNone: () => "-",
        onSome: ({ mtime, size }) => `${size}.${Option.match(mtime, { onNone: () => 0, onSome: Number })}`
      })
    )
    .join(",")
})
