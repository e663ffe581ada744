import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as Session from "../../Session.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import type { Completions } from "../polling/options.ts"
import { maxAmbiguousFailures, pollPolicy } from "../polling/policy.ts"

const acknowledgePolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "5 seconds", billingPause: false }

// of requests whose envelope was lost, or is on its way
const endedHeld = 10_000
const watchEvery = Duration.minutes(1)

/** @internal */
export const make = (options: {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
  readonly samplingSessionId: string
}): Completions => {
  const { client, samplingSessionId, session } = options
  const method = "sample"
  const waiters = new Map<string, Deferred.Deferred<number | undefined, TinkerError.TinkerError>>()
  const ended = new Map<string, number | undefined>()
  let retrieved: Array<string> = []
  let cursor = 0
  let asking = false

  const ask = (policy: RetryPolicy.RetryPolicy, timeout?: number) =>
    Effect.suspend(() => {
      const acknowledged = retrieved
      retrieved = []
      return client
        .call(
          TinkerApi.retrieveFutures,
          {
            target: { type: "sampling_session", sampling_session_id: samplingSessionId, cloned_sampler_id: 0 },
            prev_cursor: cursor,
            retrieved_request_ids: acknowledged,
            ...(timeout === undefined ? {} : { timeout })
          },
          { method, policy }
        )
        .pipe(
          Effect.tapError(() =>
            Effect.sync(() => {
              retrieved = [...acknowledged, ...retrieved]
            })
          )
        )
    })

  const end = (requestId: string, size: number | undefined) => {
    const waiter = waiters.get(requestId)
    if (waiter !== undefined) return Deferred.unsafeDone(waiter, Effect.succeed(size))
    ended.set(requestId, size)
    if (ended.size > endedHeld) ended.delete(ended.keys().next().value!)
  }

  const failAll = (error: TinkerError.TinkerError) => {
    for (const waiter of waiters.values()) Deferred.unsafeDone(waiter, Effect.fail(error))
    waiters.clear()
  }

  /** Asks for as long as anybody waits, and says at last what was taken. */
  const loop = Effect.gen(function* () {
    let ambiguousFailures = 0
    let failures = 0
    while (waiters.size > 0) {
      const answer = yield* Effect.either(ask(pollPolicy))
      if (answer._tag === "Right") {
        ambiguousFailures = failures = 0
        cursor = answer.right.cursor
        for (const { request_id, response_payload_uncompressed_size } of answer.right.completions) {
          end(request_id, response_payload_uncompressed_size)
        }
        // those who were told take their turn
        yield* Effect.yieldNow()
        continue
      }
      const error = answer.left
      const held = error._tag === "TransportError" && error.reason === "Timeout"
      if (held) continue
      const doubtful = error._tag === "BadRequest" || error._tag === "DecodeError"
      if (!error.isRetryable && !(doubtful && ambiguousFailures++ < maxAmbiguousFailures)) {
        failAll(error)
        continue
      }
      const pause = yield* RetryPolicy.jittered(1000, 30_000, failures++)
      yield* Effect.sleep(error.retryAfter ?? pause)
    }
    if (retrieved.length > 0) yield* Effect.ignore(ask(acknowledgePolicy, 0))
  })

  const start: Effect.Effect<void> = Effect.suspend(() => {
    if (asking) return Effect.void
    asking = true
    return loop.pipe(
      // the session has ended, and nobody will be told any more
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          for (const waiter of waiters.values()) Deferred.unsafeDone(waiter, Effect.interrupt)
          waiters.clear()
        })
      ),
      Effect.ensuring(
        Effect.suspend(() => {
          asking = false
          return waiters.size > 0 ? start : Effect.void
        })
      ),
      Effect.interruptible,
      Effect.forkIn(session.scope),
      Effect.asVoid
    )
  })

  return {
    wait: (requestId, watch) =>
      Effect.suspend(() => {
        if (ended.has(requestId)) {
          const size = ended.get(requestId)
          ended.delete(requestId)
          return Effect.succeed(size)
        }
        const waiter = Deferred.unsafeMake<number | undefined, TinkerError.TinkerError>(FiberId.none)
        waiters.set(requestId, waiter)
        const patient: Effect.Effect<number | undefined, TinkerError.TinkerError> = Effect.flatMap(
          Effect.timeoutOption(Deferred.await(waiter), watchEvery),
          (found) => (Option.isSome(found) ? Effect.succeed(found.value) : Effect.zipRight(watch.check, patient))
        )
        return Effect.zipRight(start, patient).pipe(Effect.ensuring(Effect.sync(() => waiters.delete(requestId))))
      }),
    done: (requestId) => {
      retrieved.push(requestId)
    }
  }
}
