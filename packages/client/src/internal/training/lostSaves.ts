/** Recognizes a save whose response was lost. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type { Context, RequestOptions } from "./context.ts"
import type { Accepted } from "../submissions/operation.ts"

// pauses between the lookups of a checkpoint that a lost save may be writing
const lookupDelays = ["1 second", "2 seconds", "4 seconds", "8 seconds", "15 seconds"] as const

/** Services may leave the kind out of a sampler's path. */
const isSamePath = (a: string, b: string) => {
  const [left, right] = [TinkerPath.parse(a), TinkerPath.parse(b)]
  return Option.isSome(left) && Option.isSome(right) && TinkerPath.format(left.value) === TinkerPath.format(right.value)
}

/** Whether the checkpoint is listed; `false` if the service cannot list checkpoints. */
const isListed = ({ client, modelId }: Context, path: string): Effect.Effect<boolean> =>
  client
    .call(TinkerApi.listCheckpoints, undefined as never, {
      path: { training_run_id: modelId },
      policy: RetryPolicy.never
    })
    .pipe(
      Effect.map(({ checkpoints }) => checkpoints.some(({ tinker_path }) => isSamePath(tinker_path, path))),
      Effect.orElseSucceed(() => false)
    )

/**
 * Sends a save. If the service performed it and its response was lost, the retry conflicts with the checkpoint that it
 * wrote itself. Such a conflict succeeds once the checkpoint is listed. A name that was taken before fails at once.
 *
 * @internal
 */
export const sendSave = <A>(
  context: Context,
  path: string,
  result: A,
  options: RequestOptions,
  send: (options: RequestOptions) => Effect.Effect<Accepted<A>, TinkerError.TinkerError>
): Effect.Effect<Accepted<A>, TinkerError.TinkerError> =>
  Effect.suspend(() => {
    const isFirstOfPath = !context.savedPaths.has(path)
    context.savedPaths.add(path)
    let mayBeSaved = false
    const attempt = send({
      ...options,
      onRetry: (error) => {
        // a rate-limited request was not performed
        if (error._tag !== "RateLimited") mayBeSaved = true
        options.onRetry?.(error)
      }
    })
    return Effect.catchTag(attempt, "Conflict", (conflict) =>
      mayBeSaved && isFirstOfPath ? resolveConflict(context, path, result, attempt, conflict) : Effect.fail(conflict)
    )
  })

/** Looks for the checkpoint, and otherwise tries again after a pause, until the pauses are used up. */
const resolveConflict = <A>(
  context: Context,
  path: string,
  result: A,
  attempt: Effect.Effect<Accepted<A>, TinkerError.TinkerError>,
  conflict: TinkerError.Conflict,
  round = 0
): Effect.Effect<Accepted<A>, TinkerError.TinkerError> =>
  Effect.flatMap(isListed(context, path), (listed): Effect.Effect<Accepted<A>, TinkerError.TinkerError> => {
    if (listed) return Effect.succeed({ result })
    const delay = lookupDelays[round]
    if (delay === undefined) return Effect.fail(conflict)
    return attempt.pipe(
      Effect.delay(delay),
      Effect.catchTag("Conflict", (again) => resolveConflict(context, path, result, attempt, again, round + 1))
    )
  })
