/**
 * The directory of one run: what it was, what happened, and where it continues.
 *
 * | file | one line is |
 * |---|---|
 * | `config.json` | (the whole file) what the run is: `writer`, then what must be equal to resume it, and `environment`, what should be |
 * | `data.json` | (the whole file) what is known of the data, as a `DataReport` |
 * | `metrics.jsonl` | a row: `step`, counted from 0, and numbers by name |
 * | `timing_spans.jsonl` | `{"step", "spans": [{"name", "duration", "wall_start", "wall_end"}]}`, in seconds, since 1970 |
 * | `samples.jsonl` | what the model wrote: `step`, the steps that it had done; `prompt`; `text` |
 * | `checkpoints.jsonl` | a checkpoint: `name`; `batch`, the next step to run; `epoch`; `state_path` and `sampler_path`; `final`, `rolling`, `elapsed_tokens`, `elapsed_seconds` |
 * | `groups.jsonl` | (asynchronous `Rl`, while it runs) the episodes of a group that has ended and that no checkpoint holds |
 *
 * Names are those of the service's own cookbook, whose tools read the files. Rows and checkpoints have the free key
 * `writer`. Lines are appended when they are complete. A checkpoint is written when it is saved, behind the rows of all
 * steps that it holds. A run resumes at the last checkpoint with a `state_path`. Rows of steps that run again are cut then,
 * and the file as it was is kept as `metrics.jsonl.pre_resume_000120`, where 120 is the step.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import type * as DataReport from "./DataReport.ts"
import type { Row, Sink } from "./internal/metrics/row.ts"
import type * as errors from "./internal/run/errors.ts"
import * as open_ from "./internal/run/open.ts"
import type { Checkpoint, Sample } from "./internal/run/records.ts"

export { RunDirectoryError, RunExists, RunMismatch } from "./internal/run/errors.ts"
export { Checkpoint, type Sample } from "./internal/run/records.ts"

/**
 * What the file `config.json` says: values that JSON can hold, by name.
 *
 * @since 0.1.0
 * @category models
 */
export type Config = open_.Config

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly path: string
  /** whether to continue the run that is there; without one, a new run starts. False by default: a run there is an error */
  readonly resume?: boolean | undefined
  /** what the run is; a run is not resumed with another */
  readonly config: Config
  /** what should be equal for equal results; a difference is a warning */
  readonly environment?: Config | undefined
  /** what is known of the data */
  readonly data?: DataReport.DataReport | undefined
}

/**
 * An open directory.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunDirectory {
  readonly path: string
  /** whether it holds a run already, which goes on */
  readonly isResumed: boolean
  /** the checkpoints to resume from, newest first: usually the first one, the others if the service has lost it */
  readonly resumable: ReadonlyArray<Checkpoint>
  /**
   * Starts to write: rows from `step` on are cut, and the file as it was is kept aside. Succeeds with the rows before it.
   */
  readonly startAt: (step: number) => Effect.Effect<ReadonlyArray<Row>, errors.RunDirectoryError>
  /** Appends rows and spans. */
  readonly sink: Sink
  /** Appends what the model wrote. */
  readonly sample: (sample: Sample) => Effect.Effect<void, errors.RunDirectoryError>
  /** Appends a checkpoint, which was saved. */
  readonly record: (checkpoint: Checkpoint) => Effect.Effect<void, errors.RunDirectoryError>
}

/**
 * Opens a directory for a new run, or to resume the one that it holds. Fails with `RunExists` or `RunMismatch` without a
 * change to any file.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open: (
  options: Options
) => Effect.Effect<
  RunDirectory,
  errors.RunDirectoryError | errors.RunExists | errors.RunMismatch,
  FileSystem.FileSystem | Path.Path
> = open_.open

/**
 * The number of steps that the last recorded checkpoint of a directory holds: how far a run has come that no failure can
 * undo. 0 if there is none.
 *
 * @since 0.1.0
 * @category getters
 */
export const progress: (
  path: string
) => Effect.Effect<number, errors.RunDirectoryError, FileSystem.FileSystem | Path.Path> = open_.progress
