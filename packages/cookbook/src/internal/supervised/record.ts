/** Records the rows and the checkpoints of a run. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metrics from "../../Metrics.ts"
import type * as RunDirectory from "../../RunDirectory.ts"
import type { Row } from "../metrics/row.ts"
import type { Checkpoints } from "./options.ts"
import type { Saved } from "./submit.ts"

/**
 * Records a checkpoint that was saved, and deletes the rolling one that it replaces. Succeeds with the newest checkpoint: a
 * rolling one that was not saved is a warning.
 *
 * @internal
 */
export const recordSaved = Effect.fnUntraced(function* (
  run: {
    readonly directory: RunDirectory.RunDirectory | undefined
    readonly before: RunDirectory.Checkpoint | undefined
    readonly remove: NonNullable<Checkpoints["rolling"]>["remove"]
  },
  saved: Saved,
  fields: Omit<RunDirectory.Checkpoint, "name">
) {
  const { before, remove } = run
  if (Exit.isFailure(saved.state)) {
    yield* Effect.logWarning(`the rolling checkpoint ${saved.name} was not saved`, saved.state.cause)
    return before
  }
  const checkpoint: RunDirectory.Checkpoint = {
    name: saved.name,
    ...fields,
    ...(saved.kind === "final" ? { final: true } : {}),
    ...(saved.kind === "rolling" ? { rolling: true } : {}),
    state_path: saved.state.value,
    ...(saved.sampler === undefined ? {} : { sampler_path: saved.sampler })
  }
  if (run.directory !== undefined) yield* run.directory.record(checkpoint)
  if (before?.rolling !== true || before.state_path === undefined || remove === undefined) return checkpoint
  yield* Effect.catchAll(remove(before.state_path), (error) =>
    Effect.logWarning(`the rolling checkpoint ${before.name} was not deleted: ${error.message}`)
  )
  return checkpoint
})

/** Writes a row to the directory and to what shows rows. @internal */
export const logRow = Effect.fnUntraced(function* (
  run: {
    readonly state: { lastMillis: number; readonly rows: Array<Metrics.Row> }
    readonly directory: RunDirectory.RunDirectory | undefined
    readonly metrics: Metrics.Service
  },
  row: Row,
  window: Metrics.Window
) {
  const now = yield* Clock.currentTimeMillis
  const spans = yield* window.spans
  const whole = Metrics.withTimes({ ...row, "time/total": (now - run.state.lastMillis) / 1000 }, spans)
  run.state.lastMillis = now
  run.state.rows.push(whole)
  if (run.directory !== undefined) yield* run.directory.sink(whole, spans)
  yield* run.metrics.log(whole, spans)
})
