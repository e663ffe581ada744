/** Reserves the path of a checkpoint while it is changed, so that no other process changes it at the same time. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import type * as Store from "../../Store.ts"
import type * as directories from "./directories.ts"
import * as model from "./model.ts"
import * as recovery from "./recovery.ts"

/** A store of checkpoints: its directory, and the records of it. @internal */
export interface Context {
  readonly root: directories.Root
  readonly records: Store.Service
}

/** Turns a failure of the records into one of the checkpoint. @internal */
export const toStoreError = (path: string) => (cause: Store.StoreError) =>
  new model.CheckpointStoreError({ path, reason: cause.message, cause })

// milliseconds between two attempts: twice as long each time, since most changes take less than the first
const firstPause = 20
const longestPause = 500
const limit = "60 seconds"

const reserve = (
  context: Context,
  reservation: Omit<Store.ReservationRow, "instance">,
  pause = firstPause
): Effect.Effect<void, Store.StoreError> =>
  Effect.gen(function* () {
    const { records, root } = context
    if (yield* records.reserve({ ...reservation, instance: records.instance })) return
    const other = yield* records.reservations.get({ path: reservation.path })
    if (other !== undefined && !(yield* records.isRunning(other.instance))) yield* recovery.recover(root, records)
    else yield* Effect.sleep(pause)
    yield* reserve(context, reservation, Math.min(2 * pause, longestPause))
  })

/**
 * Runs a change of a checkpoint while no other process changes it. What the change writes is committed before the path is
 * free again.
 *
 * @internal
 */
export const withReservation = <A, E>(
  context: Context,
  {
    path,
    ...reservation
  }: { readonly path: TinkerPath.TinkerPath } & Pick<Store.ReservationRow, "action" | "revision">,
  change: (path: string) => Effect.Effect<A, E>
): Effect.Effect<A, E | model.CheckpointStoreError> => {
  const text = TinkerPath.format(path)
  const held = new model.CheckpointStoreError({ path: text, reason: "is being changed by another process" })
  const release = context.records.reservations.remove({ path: text })
  return Effect.uninterruptibleMask((restore) =>
    reserve(context, { path: text, ...reservation }).pipe(
      Effect.mapError(toStoreError(text)),
      Effect.timeoutFail({ duration: limit, onTimeout: () => held }),
      restore,
      Effect.flatMap(() => Effect.exit(restore(change(text)))),
      Effect.flatMap((exit) => Effect.flatMap(Effect.mapError(release, toStoreError(text)), () => exit))
    )
  )
}
