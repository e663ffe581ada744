/** Opens the directory of a run. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as DataReport from "../../DataReport.ts"
import { MetricsError, type Row, type Sink } from "../metrics/row.ts"
import { RunDirectoryError, RunExists, RunMismatch } from "./errors.ts"
import * as lines from "./lines.ts"
import { Checkpoint, type Sample, writer } from "./records.ts"

type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** @internal */
export type Config = { readonly [name: string]: Json }

interface Options {
  readonly path: string
  readonly resume?: boolean | undefined
  readonly config: Config
  readonly environment?: Config | undefined
  readonly data?: DataReport.DataReport | undefined
}

interface Files {
  readonly directory: string
  readonly config: string
  readonly data: string
  readonly metrics: string
  readonly spans: string
  readonly samples: string
  readonly checkpoints: string
}

/** What an earlier run has left. */
interface Found {
  readonly config: Config | undefined
  readonly rows: lines.Lines<StepLine> | undefined
  readonly spans: lines.Lines<StepLine> | undefined
  readonly samples: lines.Lines<StepLine> | undefined
  readonly checkpoints: lines.Lines<Checkpoint> | undefined
}

const StepLine = Schema.Struct({ step: Schema.NonNegativeInt }, { key: Schema.String, value: Schema.Unknown })
type StepLine = typeof StepLine.Type

const AnyObject = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

const filesOf = (path: Path.Path, directory: string): Files => ({
  directory,
  config: path.join(directory, "config.json"),
  data: path.join(directory, "data.json"),
  metrics: path.join(directory, "metrics.jsonl"),
  spans: path.join(directory, "timing_spans.jsonl"),
  samples: path.join(directory, "samples.jsonl"),
  checkpoints: path.join(directory, "checkpoints.jsonl")
})

const readConfig = Effect.fnUntraced(function* (file: string) {
  const text = yield* lines.readText(file)
  if (text === undefined) return undefined
  return (yield* Effect.mapError(
    Schema.decodeUnknown(AnyObject)(text),
    (cause) => new RunDirectoryError({ path: file, reason: "is not a JSON object", cause })
  )) as Config
})

const find = (files: Files) =>
  Effect.all({
    config: readConfig(files.config),
    rows: lines.read(StepLine, files.metrics),
    spans: lines.read(StepLine, files.spans),
    samples: lines.read(StepLine, files.samples),
    checkpoints: lines.read(Checkpoint, files.checkpoints)
  })

const isEmpty = ({ checkpoints, config, rows }: Found): boolean =>
  config === undefined && rows === undefined && checkpoints === undefined

const text = (value: Json | undefined): string => (value === undefined ? "not set" : JSON.stringify(value))

/** The order of keys is no difference. */
const canonical = (value: Json | undefined): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner
  ) ?? ""

const differences = (recorded: Config, given: Config) =>
  Array.from(new Set([...Object.keys(recorded), ...Object.keys(given)])).flatMap((name) =>
    canonical(recorded[name]) === canonical(given[name])
      ? []
      : [{ name, recorded: text(recorded[name]), given: text(given[name]) }]
  )

const isOurs = (config: Config | undefined): config is Config => config?.["writer"] === writer

/** Fails if the recorded run is another one; warns of what may change its results. */
const compare = Effect.fnUntraced(function* ({ path, ...given }: Options, found: Found) {
  if (!isOurs(found.config)) {
    return yield* Effect.logWarning(
      `${path} was not written by ${writer}: whether it is the same run, with the same data, cannot be known`
    )
  }
  const { environment, writer: _, ...recorded } = found.config
  const different = differences(recorded, given.config)
  if (different.length > 0) return yield* new RunMismatch({ path, differences: different })
  const changed = differences((environment ?? {}) as Config, given.environment ?? {})
  for (const { given, name, recorded } of changed) {
    yield* Effect.logWarning(`${name} was ${recorded} and is ${given}: results will not be equal to the bit`)
  }
})

/** The last checkpoint of the service's cookbook holds steps that its loop runs again. */
const warnOfWriter = ({ checkpoints }: Found, path: string) => {
  const last = checkpoints?.values.findLast(({ state_path }) => state_path !== undefined)
  return last === undefined || last.writer === writer
    ? Effect.void
    : Effect.logWarning(
        `${path}: checkpoint ${last.name} was written by a program that saves behind later steps than it records: ` +
          `steps from ${last.batch ?? "the recorded one"} on may be applied twice`
      )
}

const stepName = (step: number): string => String(step).padStart(6, "0")

/** Cuts what the steps from this one on have written, and keeps the file with their rows aside. */
const cut = Effect.fnUntraced(function* (files: Files, found: Found, step: number) {
  const isBefore = (line: { readonly step: number }) => line.step < step
  const { checkpoints, rows, samples, spans } = found
  if (rows !== undefined && (rows.isCut || !rows.values.every(isBefore))) {
    yield* lines.keepAside(files.metrics, `${files.metrics}.pre_resume_${stepName(step)}`)
    yield* lines.replaceLines(files.metrics, rows.values.filter(isBefore))
  }
  if (spans !== undefined) yield* lines.replaceLines(files.spans, spans.values.filter(isBefore))
  if (samples !== undefined) yield* lines.replaceLines(files.samples, samples.values.filter(isBefore))
  const isHeld = ({ batch }: Checkpoint) => batch === undefined || batch <= step
  if (checkpoints !== undefined && (checkpoints.isCut || !checkpoints.values.every(isHeld))) {
    yield* lines.keepAside(files.checkpoints, `${files.checkpoints}.pre_resume_${stepName(step)}`)
    yield* lines.replaceLines(files.checkpoints, checkpoints.values.filter(isHeld))
  }
  return (rows?.values ?? []).filter(isBefore) as ReadonlyArray<Row>
})

const indented = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

/** Writes `config.json`; that of another program is kept aside. */
const writeConfig = Effect.fnUntraced(function* (files: Files, found: Found, options: Options, step: number) {
  if (isOurs(found.config)) return
  if (found.config !== undefined) {
    yield* lines.keepAside(files.config, `${files.config}.pre_resume_${stepName(step)}`)
  }
  const config = { writer, ...options.config, environment: options.environment ?? {} }
  yield* lines.replace(files.config, indented(config))
})

const sinkOf =
  (files: Files, fs: FileSystem.FileSystem): Sink =>
  (row, spans) =>
    Effect.gen(function* () {
      yield* lines.append(files.metrics, { ...row, writer })
      if (spans.length > 0) yield* lines.append(files.spans, { step: row.step, spans })
    }).pipe(
      Effect.mapError(({ cause, path, reason }) => new MetricsError({ target: path, reason, cause })),
      Effect.provideService(FileSystem.FileSystem, fs)
    )

/** @internal */
export const open = Effect.fn("RunDirectory.open")(function* (options: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const files = filesOf(path, path.resolve(options.path))
  const found = yield* find(files)
  if (!isEmpty(found)) {
    if (options.resume !== true) return yield* new RunExists({ path: files.directory })
    yield* compare(options, found)
    yield* warnOfWriter(found, files.checkpoints)
  }
  const resumable = (found.checkpoints?.values ?? [])
    .filter(({ batch, state_path }) => state_path !== undefined && batch !== undefined)
    .reverse()
  return {
    path: files.directory,
    isResumed: !isEmpty(found),
    resumable,
    startAt: (step: number) =>
      Effect.gen(function* () {
        yield* Effect.mapError(
          fs.makeDirectory(files.directory, { recursive: true }),
          (cause) => new RunDirectoryError({ path: files.directory, reason: "cannot be created", cause })
        )
        const rows = yield* cut(files, found, step)
        yield* writeConfig(files, found, options, step)
        if (options.data !== undefined) yield* lines.replace(files.data, indented(options.data))
        return rows
      }).pipe(Effect.provideService(FileSystem.FileSystem, fs)),
    sink: sinkOf(files, fs),
    sample: (sample: Sample) => Effect.provideService(lines.append(files.samples, sample), FileSystem.FileSystem, fs),
    record: (checkpoint: Checkpoint) =>
      Effect.provideService(lines.append(files.checkpoints, { ...checkpoint, writer }), FileSystem.FileSystem, fs)
  }
})

/** The steps that the last recorded checkpoint holds. @internal */
export const progress = Effect.fnUntraced(function* (directory: string) {
  const path = yield* Path.Path
  const checkpoints = yield* lines.read(Checkpoint, filesOf(path, path.resolve(directory)).checkpoints)
  return checkpoints?.values.findLast(({ state_path }) => state_path !== undefined)?.batch ?? 0
})
