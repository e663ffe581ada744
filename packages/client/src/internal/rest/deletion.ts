/** Deletes the checkpoints of a selection. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as inputs from "./inputs.ts"
import type * as options from "./options.ts"

/** @internal */
export interface Options {
  /** reports what would be deleted, and deletes nothing */
  readonly dryRun?: boolean | undefined
  /** concurrent deletions; 8 by default */
  readonly concurrency?: number | undefined
}

/** The operations that a bulk deletion is made of. */
interface Operations {
  readonly ofRun: (training_run_id: string) => options.RestEffect<Checkpoint.CheckpointsListResponse>
  readonly streamUser: () => options.RestStream<Checkpoint.Checkpoint>
  readonly deleteOne: (target: options.Target) => options.RestEffect<void>
}

const method = "deleteCheckpoints"

const matches =
  (conditions: options.SelectionConditions, now: number) =>
  ({ checkpoint_type, time }: Checkpoint.Checkpoint): boolean => {
    const { after, before, olderThan } = conditions
    // a comparison with NaN is false: a checkpoint of unknown age meets no condition on it
    const savedAt = time === undefined ? Number.NaN : DateTime.toEpochMillis(time)
    return (
      (conditions.checkpoint_type === undefined || checkpoint_type === conditions.checkpoint_type) &&
      (before === undefined || savedAt < DateTime.toEpochMillis(before)) &&
      (after === undefined || savedAt > DateTime.toEpochMillis(after)) &&
      (olderThan === undefined || savedAt < now - Duration.toMillis(olderThan))
    )
  }

const named = (targets: ReadonlyArray<options.Target>): options.RestEffect<ReadonlyArray<options.SelectedCheckpoint>> =>
  Effect.forEach(targets, (target, index) =>
    Effect.map(inputs.parseTarget(method, target, `targets[${index}]`), (path) => ({
      tinker_path: TinkerPath.format(path),
      checkpoint: undefined
    }))
  )

const matching = (
  { ofRun, streamUser }: Operations,
  selection: options.SelectionConditions
): options.RestEffect<ReadonlyArray<options.SelectedCheckpoint>> =>
  Effect.gen(function* () {
    const { training_run_id, ...conditions } = selection
    if (training_run_id === undefined && Object.values(conditions).every((value) => value === undefined)) {
      return yield* inputs.invalidInput(method, "selection", "is empty: give targets, or at least one condition")
    }
    const now = yield* Clock.currentTimeMillis
    const listed =
      training_run_id === undefined
        ? Array.from(yield* Stream.runCollect(streamUser()))
        : (yield* ofRun(training_run_id)).checkpoints
    return listed
      .filter(matches(conditions, now))
      .map((checkpoint) => ({ tinker_path: checkpoint.tinker_path, checkpoint }))
  })

const deleteSelected = (
  { deleteOne }: Operations,
  selected: options.SelectedCheckpoint
): Effect.Effect<options.Deletion> =>
  Effect.match(deleteOne(selected.tinker_path), {
    onFailure: (error) => ({ _tag: "Failed", ...selected, error }),
    onSuccess: () => ({ _tag: "Deleted", ...selected })
  })

/** @internal */
export const deleteSelection = (
  operations: Operations,
  selection: options.Selection,
  { concurrency = 8, dryRun = false }: Options = {}
): options.RestStream<options.Deletion> =>
  Stream.unwrap(
    Effect.map("targets" in selection ? named(selection.targets) : matching(operations, selection), (selected) =>
      dryRun
        ? Stream.fromIterable(selected.map((one): options.Deletion => ({ _tag: "Selected", ...one })))
        : Stream.mapEffect(Stream.fromIterable(selected), (one) => deleteSelected(operations, one), {
            concurrency,
            unordered: true
          })
    )
  )
