/** Parses checkpoint paths, and authorizes the current user to read or change a checkpoint. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"

type Authorized<A> = Effect.Effect<A, responses.OperationRejection>

/** Parses a `tinker://` path. @internal */
export const parsePath = (path: string): Authorized<TinkerPath.TinkerPath> => {
  const parsed = TinkerPath.parse(path)
  // servers with another layout have the kind `checkpoints`
  return Option.isSome(parsed) && parsed.value.kind !== "checkpoints"
    ? Effect.succeed(parsed.value)
    : responses.badRequest(`path ${JSON.stringify(path)} is not a checkpoint path`)
}

/** Parses the path of a checkpoint that a model can be loaded from. @internal */
export const parseTrainingPath = (path: string): Authorized<TinkerPath.TinkerPath> =>
  Effect.flatMap(parsePath(path), (parsed) =>
    parsed.kind === "weights"
      ? Effect.succeed(parsed)
      : responses.badRequest(`${path} is not a training checkpoint: pass the path that save_weights returned`)
  )

// a hundred years: dates hold no more than about 270,000
const maxTtlSeconds = 100 * 365 * 24 * 60 * 60

/** Rejects an expiry that is so late that dates cannot hold it. @internal */
export const checkTtl = (seconds: number | null | undefined): Authorized<void> =>
  (seconds ?? 0) <= maxTtlSeconds
    ? Effect.void
    : responses.badRequest(`ttl_seconds is ${seconds}, but at most ${maxTtlSeconds} is allowed`)

/**
 * Turns `QuotaExceeded` into a 507. Another failure is a defect of the service.
 *
 * @internal
 */
export const orInsufficient = <A>(
  effect: Effect.Effect<
    A,
    CheckpointStore.QuotaExceeded | CheckpointStore.CheckpointExists | CheckpointStore.CheckpointStoreError
  >
): Authorized<A> =>
  Effect.catchAll(effect, (error) =>
    error._tag === "QuotaExceeded" ? responses.insufficientStorage(error.message) : Effect.die(error)
  )

type StoreError = CheckpointStore.CheckpointNotFound | CheckpointStore.CheckpointStoreError

/** Turns `CheckpointNotFound` into a 404. A failure of the store is a defect of the service. @internal */
export const orNotFound = <A>(effect: Effect.Effect<A, StoreError>): Authorized<A> =>
  Effect.catchAll(effect, (error) =>
    error._tag === "CheckpointNotFound" ? responses.notFound(error.message) : Effect.die(error)
  )

/** Looks up a checkpoint that the current user may read. @internal */
export const findReadable = (
  store: CheckpointStore.Service,
  path: TinkerPath.TinkerPath
): Authorized<CheckpointStore.Info> => Effect.flatMap(orNotFound(store.info(path)), (info) => authorizeRead(path, info))

/** Looks up a checkpoint that the current user may change. @internal */
export const findOwned = (
  store: CheckpointStore.Service,
  path: TinkerPath.TinkerPath
): Authorized<CheckpointStore.Info> =>
  Effect.flatMap(orNotFound(store.info(path)), (info) => authorizeChange(path, info))

/**
 * Users may read published checkpoints, their own, and those of the user whose access token they sent. Any other
 * checkpoint does not exist for them.
 *
 * @internal
 */
export const authorizeRead = (
  path: TinkerPath.TinkerPath,
  info: CheckpointStore.Info
): Authorized<CheckpointStore.Info> =>
  info.public === true
    ? Effect.succeed(info)
    : Effect.flatMap(currentUser.CurrentUser, ({ delegatedReadAs }) =>
        delegatedReadAs !== undefined && delegatedReadAs === info.owner
          ? Effect.succeed(info)
          : authorizeChange(path, info)
      )

const authorizeChange = (path: TinkerPath.TinkerPath, info: CheckpointStore.Info): Authorized<CheckpointStore.Info> =>
  currentUser.authorize<CheckpointStore.Info, responses.OperationRejection>(
    info.owner,
    () => Effect.succeed(info),
    () => responses.notFound(`there is no checkpoint ${TinkerPath.format(path)}`)
  )
