/** One poll for the result of a future (`retrieve_future`), and its cancellation. */
import type * as Future from "@effect-tinker/api/Future"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as responses from "../util/responses.ts"
import type { Environment } from "./environment.ts"
import type * as futures from "./futures.ts"
import { missingRequest } from "./lostModels.ts"
import type * as outcomes from "./outcomes.ts"

/** What a poll finds. @internal */
export type Retrieved =
  | { readonly _tag: "TryAgain"; readonly body: Future.TryAgain }
  | { readonly _tag: "Large"; readonly size: number }
  | outcomes.Failed
  | ({ readonly _tag: "Done" } & outcomes.EncodedResult)

/** Waits for a result, up to the duration of a long poll, and encodes it. @internal */
export const retrieveResult = Effect.fnUntraced(function* (
  environment: Environment,
  { allow_metadata_only, request_id }: typeof Future.RetrieveFutureRequest.Type,
  format: outcomes.Format
): Effect.fn.Return<Retrieved, responses.NotFound | responses.Gone> {
  const { futures, settings } = environment
  const entry = yield* Effect.catchTag(futures.find(request_id), "NotFoundResponse", (rejection) =>
    Effect.flatMap(missingRequest(environment, request_id, rejection), (missing) => missing)
  )
  yield* entry.touch
  const waited = yield* noticingHangUp(environment, entry, futures.awaitOutcome(entry, settings.longPoll))
  if (Option.isNone(waited)) {
    const state = entry.state?.() ?? { queue_state: "active" as const }
    return { _tag: "TryAgain", body: { type: "try_again", request_id, ...state } }
  }
  const outcome = waited.value
  yield* entry.recorded ?? Effect.void
  if (outcome._tag === "Done") return yield* deliver(environment, entry, outcome, format, allow_metadata_only)
  futures.markDelivered(entry, 0)
  return outcome
})

/**
 * Waits, and cancels a sample if the client hangs up meanwhile and does not poll again within `hangUpGrace`. A connection
 * may break under a client that still waits, so that its next poll must come in time.
 */
const noticingHangUp = <A>(
  { forkApart, futures, settings }: Environment,
  entry: futures.Entry,
  wait: Effect.Effect<A>
): Effect.Effect<A> => {
  if (entry.cancel === undefined) return wait
  return Effect.suspend(() => {
    const poll = (entry.polls = (entry.polls ?? 0) + 1)
    entry.waiting = (entry.waiting ?? 0) + 1
    const isAbandoned = () => entry.waiting === 0 && entry.polls === poll
    const cancelLater = forkApart(
      Effect.andThen(
        Effect.sleep(settings.hangUpGrace),
        Effect.suspend(() => (isAbandoned() ? futures.abandon(entry) : Effect.void))
      )
    )
    return wait.pipe(
      Effect.onInterrupt(() => cancelLater),
      Effect.ensuring(
        Effect.sync(() => {
          entry.waiting!--
        })
      )
    )
  })
}

/** The encoded result, or only its size if it is large and the client allows that. */
const deliver = (
  { futures, settings }: Environment,
  entry: futures.Entry,
  outcome: outcomes.Done,
  format: outcomes.Format,
  allowMetadataOnly: boolean
): Effect.Effect<Retrieved> =>
  Effect.try(() => outcome.encode(format)).pipe(
    Effect.map((result): Retrieved => {
      const size = result.bytes.byteLength
      if (allowMetadataOnly && size > settings.inlineLimit) return { _tag: "Large", size }
      futures.markDelivered(entry, size)
      return { _tag: "Done", ...result }
    }),
    Effect.catchAll((error) =>
      Effect.as(Effect.logError(`the result of ${entry.receipt.id} cannot be encoded`, error), {
        _tag: "Failed" as const,
        error: "the result cannot be encoded, which the service has logged",
        category: "server" as const
      })
    )
  )

/** Cancels a sample request. @internal */
export const cancelRequest = (
  { futures }: Environment,
  id: string
): Effect.Effect<void, responses.OperationRejection | responses.Gone> =>
  Effect.flatMap(
    futures.find(id),
    (entry): Effect.Effect<void, responses.OperationRejection> =>
      entry.cancel ?? responses.badRequest(`request ${id} is not a sample: nothing else can be cancelled`)
  )
