/** Deletes and publishes checkpoints, and sets when they expire. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as access from "../checkpoints/access.ts"
import type { ServiceState } from "../queries/serviceState.ts"
import * as responses from "../util/responses.ts"

/** @internal */
export const deleteCheckpoint = Effect.fnUntraced(function* (
  { auditLog, store }: ServiceState,
  path: TinkerPath.TinkerPath
): Effect.fn.Return<void, responses.OperationRejection> {
  const { owner } = yield* access.findOwned(store, path)
  yield* access.orNotFound(store.remove(path))
  yield* auditLog.record(owner, "checkpoint_deleted", path)
})

/** Publishes a checkpoint, so that every user may read it, or makes it private again. @internal */
export const setPublic = Effect.fnUntraced(function* (
  { auditLog, store }: ServiceState,
  path: TinkerPath.TinkerPath,
  isPublic: boolean
): Effect.fn.Return<void, responses.OperationRejection> {
  const info = yield* access.findOwned(store, path)
  if ((info.public ?? false) === isPublic) {
    return yield* responses.conflict(
      `${TinkerPath.format(path)} is ${isPublic ? "published already" : "not published"}`
    )
  }
  yield* access.orNotFound(store.update(path, { public: isPublic }))
  yield* auditLog.record(info.owner, isPublic ? "checkpoint_published" : "checkpoint_unpublished", path)
})

/** Sets in how many seconds a checkpoint expires; `null` means never. @internal */
export const setTtl = Effect.fnUntraced(function* (
  { auditLog, store }: ServiceState,
  path: TinkerPath.TinkerPath,
  seconds: number | null
): Effect.fn.Return<void, responses.OperationRejection> {
  if (seconds !== null && seconds <= 0) {
    return yield* responses.badRequest(`ttl_seconds is ${seconds}, but must be above 0`)
  }
  yield* access.checkTtl(seconds)
  const now = yield* Clock.currentTimeMillis
  const expires_at = seconds === null ? undefined : now + seconds * 1000
  const { owner } = yield* access.findOwned(store, path)
  yield* access.orNotFound(store.update(path, { expires_at }))
  yield* auditLog.record(owner, "checkpoint_ttl_changed", path, { ttl_seconds: seconds })
})
