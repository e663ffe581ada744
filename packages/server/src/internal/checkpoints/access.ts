import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as CheckpointStore from "../../CheckpointStore.ts"
import * as caller from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"

/** @internal */
export const parse = (path: string): Effect.Effect<TinkerPath.TinkerPath, responses.Refusal> => {
  const parsed = TinkerPath.parse(path)
  return Option.isSome(parsed)
    ? Effect.succeed(parsed.value)
    : responses.badRequest(`path ${JSON.stringify(path)} is not a path of a checkpoint`)
}

/** A path that a model can be loaded from. @internal */
export const trainingState = (path: string): Effect.Effect<TinkerPath.TinkerPath, responses.Refusal> =>
  Effect.flatMap(parse(path), (parsed) =>
    parsed.kind === "weights"
      ? Effect.succeed(parsed)
      : responses.badRequest(`${path} is not a training state: give the path that save_weights answered`)
  )

type StoreError = CheckpointStore.CheckpointNotFound | CheckpointStore.CheckpointStoreError

/** A checkpoint that is not there is the client's mistake; a store that fails is not. @internal */
export const orRefuse = <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, responses.Refusal> =>
  Effect.catchAll(effect, (error) =>
    error._tag === "CheckpointNotFound" ? responses.notFound(error.message) : Effect.die(error)
  )

/** A checkpoint that the caller may read: an own one, or a published one. @internal */
export const find = (
  store: CheckpointStore.Service,
  path: TinkerPath.TinkerPath
): Effect.Effect<CheckpointStore.Info, responses.Refusal> =>
  Effect.flatMap(orRefuse(store.info(path)), (info) => readable(path, info))

/** @internal */
export const readable = (
  path: TinkerPath.TinkerPath,
  info: CheckpointStore.Info
): Effect.Effect<CheckpointStore.Info, responses.Refusal> =>
  info.public === true
    ? Effect.succeed(info)
    : Effect.flatMap(caller.Caller, ({ readsAs }) =>
        readsAs !== undefined && readsAs === info.owner ? Effect.succeed(info) : owned(path, info)
      )

/** A checkpoint that the caller may change. @internal */
export const findOwn = (
  store: CheckpointStore.Service,
  path: TinkerPath.TinkerPath
): Effect.Effect<CheckpointStore.Info, responses.Refusal> =>
  Effect.flatMap(orRefuse(store.info(path)), (info) => owned(path, info))

const owned = (path: TinkerPath.TinkerPath, info: CheckpointStore.Info) =>
  caller.orElse<CheckpointStore.Info, responses.Refusal>(
    info.owner,
    () => Effect.succeed(info),
    () => responses.notFound(`there is no checkpoint ${TinkerPath.format(path)}`)
  )
