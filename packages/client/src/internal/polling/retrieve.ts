/** Waits for the result of an operation that the service has accepted. The first poll runs on callbacks. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as TinkerClient from "../../TinkerClient.ts"
import { type Caller, withCaller } from "../effect/runtime.ts"
import type { Releasable } from "../util/releasable.ts"
import { fetchOnCompletion, pollUntilDone } from "./loop.ts"
import type { Options } from "./options.ts"
import { decodedResult, finish, nextPoll, payload } from "./poll.ts"

/**
 * Sends the first poll, and calls `then` once: with the result, which most first polls bring, or with an effect that
 * continues to poll.
 *
 * @internal
 */
export const startFirstPoll = <A, I>(
  client: TinkerClient.Service,
  options: Options<A, I>,
  caller: Caller,
  then: (result: Effect.Effect<A, TinkerError.TinkerError>) => void
): Releasable => {
  const { requestId, record } = options
  const startMillis = record.clock.unsafeCurrentTimeMillis()
  record.requestId = requestId
  const onBody = (body: unknown): Effect.Effect<A, TinkerError.TinkerError> => {
    const decoded = decodedResult<A>(body)
    return decoded === undefined
      ? pollUntilDone(client, options, startMillis, Either.right(body))
      : Effect.succeed(finish(options, decoded.value))
  }
  return client.start(TinkerApi.retrieveFuture, payload(requestId, true), nextPoll(options), caller, {
    onValue: (body) => then(onBody(body)),
    onRest: (rest) =>
      then(
        Effect.matchEffect(rest, {
          onFailure: (error) => pollUntilDone(client, options, startMillis, Either.left(error)),
          onSuccess: onBody
        })
      )
  })
}

/**
 * Polls until the operation has succeeded or failed, or the client has made no progress for too long. Polls are safe to
 * repeat.
 *
 * @internal
 */
export const retrieve = <A, I>(
  client: TinkerClient.Service,
  options: Options<A, I>
): Effect.Effect<A, TinkerError.TinkerError> => {
  const { completions, requestId, record } = options
  record.requestId = requestId
  if (completions !== undefined) return fetchOnCompletion(client, options, completions)
  return withCaller((caller) =>
    Effect.async((resume) => {
      const sent = startFirstPoll(client, options, caller, resume)
      return Effect.sync(() => sent.release())
    })
  )
}
