import * as Future from "@effect-tinker/api/Future"
import type { ProtobufDecodeError } from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type * as Either from "effect/Either"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as QueueState from "../QueueState.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import * as TinkerClient from "../TinkerClient.ts"
import * as codec from "./codec.ts"

const decodeTryAgain = Schema.decodeUnknownOption(Future.TryAgain)
const decodeFailed = Schema.decodeUnknownOption(Future.RequestFailed)
const tagOf = (body: unknown, key: "type" | "status"): unknown =>
  typeof body === "object" && body !== null ? (body as Record<string, unknown>)[key] : undefined

type Step<A> = { readonly done: true; readonly value: A } | { readonly done: false; readonly heldMillis: number }

/** One poll: the service holds it for as long as it likes, but for less than this. */
const pollPolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "45 seconds" }

// A service that holds a poll is asked again at once; one that answers at once is asked after growing pauses.
const whilePending = Schedule.exponential("10 millis").pipe(
  Schedule.union(Schedule.spaced("1 second")),
  Schedule.intersect(Schedule.identity<Step<unknown>>()),
  Schedule.modifyDelay(([, step], delay) =>
    step.done ? delay : Duration.subtract(delay, Duration.millis(step.heldMillis))
  )
)

// a lost poll loses nothing: it is repeated until the service answers
const whileLost = RetryPolicy.backoff("1 second", "30 seconds")

// the service held the poll for longer than it or we would wait: the result is not there yet
const isHeld = (error: TinkerError.TinkerError) =>
  (error._tag === "TransportError" && error.reason === "Timeout") ||
  (error._tag === "ServerError" && error.status === 408)

const held = Symbol("held")

const category = (value: string | undefined): Future.Category =>
  value === "user" || value === "server" ? value : "unknown"

/** Waits for the result of an operation. @internal */
export const retrieve = <A, I>(
  client: TinkerClient.Service,
  options: {
    readonly method: string
    readonly requestId: string
    readonly type: Future.RequestType
    readonly schema: Schema.Schema<A, I>
    readonly queue?: QueueState.Observer | undefined
    readonly protobuf?: ((bytes: Uint8Array) => Either.Either<A, ProtobufDecodeError>) | undefined
  }
): Effect.Effect<A, TinkerError.TinkerError> => {
  const { method, requestId } = options
  const decode = Schema.decodeUnknown(options.schema)
  const observe = (pending: Option.Option<Future.TryAgain>) =>
    options.queue === undefined || Option.isNone(pending) || pending.value.queue_state === undefined
      ? Effect.void
      : options.queue.observe({ state: pending.value.queue_state, reason: pending.value.queue_state_reason })
  return Effect.suspend(() => {
    let iteration = 0
    let allow_metadata_only = true
    const poll: Effect.Effect<Step<A>, TinkerError.TinkerError> = Effect.gen(function* () {
      const start = yield* Clock.currentTimeMillis
      const body = yield* client
        .call(
          TinkerApi.retrieveFuture,
          { request_id: requestId, allow_metadata_only },
          {
            method,
            requestId,
            policy: pollPolicy,
            protobuf: options.protobuf,
            headers: {
              "x-tinker-request-iteration": String(iteration++),
              "x-tinker-request-type": options.type
            }
          }
        )
        .pipe(Effect.catchIf(isHeld, () => Effect.succeed(held)))
      if (body instanceof TinkerClient.Decoded) return { done: true, value: body.value as A }
      const pending: Step<A> = { done: false, heldMillis: (yield* Clock.currentTimeMillis) - start }
      if (body === held) return pending
      if (tagOf(body, "type") === "try_again") {
        yield* observe(decodeTryAgain(body))
        return pending
      }
      if (tagOf(body, "status") === "complete_metadata" && allow_metadata_only) {
        allow_metadata_only = false
        return pending
      }
      const failed = decodeFailed(body)
      if (failed._tag === "Some") {
        return yield* new TinkerError.RequestFailed({
          method,
          requestId,
          reason: failed.value.error,
          category: category(failed.value.category)
        })
      }
      const value = yield* decode(body).pipe(
        Effect.mapError((error) => new TinkerError.DecodeError({ method, requestId, reason: codec.reason(error) }))
      )
      return { done: true, value }
    })
    return poll.pipe(
      Effect.retry({ schedule: whileLost, while: (error) => error.isRetryable }),
      Effect.repeat({ schedule: whilePending, until: (step) => step.done }),
      // the schedule's last output is the step that ended it
      Effect.map(([, step]) => (step as Extract<Step<A>, { done: true }>).value),
      // whatever it was waiting for, it waits no longer
      Effect.ensuring(options.queue === undefined ? Effect.void : options.queue.observe(QueueState.active))
    )
  })
}
