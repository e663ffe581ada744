import * as Future from "@effect-tinker/api/Future"
import type { ProtobufDecodeError } from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as QueueState from "../../QueueState.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import * as TinkerClient from "../../TinkerClient.ts"
import type { Budget } from "../limits/budget.ts"
import type { Completions } from "../sampling/completedFutures.ts"
import * as codec from "../codec/endpoint.ts"
import type { Running } from "../telemetry/observe.ts"
import type { Held, Quick, QuickThen } from "../transport/exchange.ts"
import * as progress from "./progress.ts"

/** @internal */
export interface Options<A, I> {
  readonly method: string
  readonly requestId: string
  readonly type: Future.RequestType
  readonly schema: Schema.Schema<A, I>
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<A, ProtobufDecodeError>) | undefined
  readonly queue?: QueueState.Observer | undefined
  /** tells when the operation has ended, in place of polls of its own */
  readonly completions?: Completions | undefined
  /** for large results */
  readonly responses: Budget
  readonly running: Running
  readonly progress: progress.Progress
  readonly noProgressLimit: Duration.DurationInput
  /** what is made of the result */
  readonly map?: ((value: A) => A) | undefined
  /** from building the request to its acceptance */
  readonly roundtripSeconds?: number | undefined
}

const decodePending = Schema.decodeUnknownOption(Schema.Struct(Future.TryAgain.fields).pipe(Schema.omit("type")))
const decodeMetadata = Schema.decodeUnknownOption(Future.CompleteMetadata)
const decodeJson = Schema.decodeUnknownOption(Schema.parseJson())

/** One poll: the service holds it for as long as it likes, but for less than this. @internal */
export const pollPolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "45 seconds" }

// how a service that means "not yet" may put it; what it calls a result has no `status`
const notYet = new Set(["pending", "queued", "running", "processing", "in_progress", "not_ready"])

/** So many answers that may be a failure or a garbled result are asked for again. @internal */
export const doubtsAllowed = 3

// a poll that was held for as long was held: it is repeated at once
const heldMillis = 1000

const decoders = new WeakMap<object, (body: unknown) => Either.Either<unknown, ParseResult.ParseError>>()

const decoderOf = <A, I>(schema: Schema.Schema<A, I>) => {
  let decode = decoders.get(schema)
  if (decode === undefined) {
    decode = Schema.decodeUnknownEither(schema)
    decoders.set(schema, decode)
  }
  return decode as (body: unknown) => Either.Either<A, ParseResult.ParseError>
}

type Found<A> =
  | { readonly _tag: "Result"; readonly value: A }
  | { readonly _tag: "Pending" }
  | { readonly _tag: "Metadata"; readonly size: number }

const category = (value: unknown): Future.Category => (value === "user" || value === "server" ? value : "unknown")

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

type Done<A> = Exclude<Found<A>, { _tag: "Pending" }>
type Step<A> = Effect.Effect<Done<A>, TinkerError.TinkerError>
type Polled = Either.Either<unknown, TinkerError.TinkerError>

const pollOptions = <A, I>({ method, protobuf, requestId, roundtripSeconds, running, type }: Options<A, I>) => {
  const iteration = running.polls++
  return {
    method,
    requestId,
    policy: pollPolicy,
    span: running.span,
    protobuf,
    headers: {
      "x-tinker-request-iteration": String(iteration),
      "x-tinker-request-type": type,
      ...(iteration === 0 && roundtripSeconds !== undefined
        ? { "x-tinker-create-promise-roundtrip-time": String(roundtripSeconds) }
        : {})
    }
  }
}

const poll = <A, I>(client: TinkerClient.Service, options: Options<A, I>, allow_metadata_only: boolean) =>
  client.call(TinkerApi.retrieveFuture, { request_id: options.requestId, allow_metadata_only }, pollOptions(options))

/** The first poll, by a short way; `undefined` where there is none. @internal */
export const pollQuickly = <A, I>(quick: Quick, options: Options<A, I>, then: QuickThen): Held | undefined => {
  const { requestId, running } = options
  const { polls } = running
  running.requestId = requestId
  const payload = { request_id: requestId, allow_metadata_only: true }
  const asked = quick(TinkerApi.retrieveFuture, payload, pollOptions(options), then)
  if (asked === undefined) running.polls = polls
  return asked
}

/** The result, if it is what a first poll gave. @internal */
export const found = <A, I>(options: Options<A, I>, body: unknown): Exit.Exit<A> | undefined =>
  body instanceof TinkerClient.Decoded ? Exit.succeed(gotOn(options, body.value as A)) : undefined

const gotOn = <A, I>({ map, progress, running }: Options<A, I>, value: A): A => {
  progress.lastMillis = running.clock.unsafeCurrentTimeMillis()
  return map === undefined ? value : map(value)
}

/** Waits for a result that the first poll did not bring. */
const patience = <A, I>(client: TinkerClient.Service, options: Options<A, I>, startMillis: number) => {
  const { method, requestId, responses, running } = options
  const { clock } = running
  const decode = decoderOf(options.schema)
  const unreadable = (reason: string) => new TinkerError.DecodeError({ method, requestId, reason })
  const failed = (reason: unknown, who: unknown, cause?: unknown) =>
    new TinkerError.RequestFailed({
      method,
      requestId,
      reason: typeof reason === "string" ? reason : JSON.stringify(reason),
      category: category(who),
      ...(cause === undefined ? {} : { cause })
    })

  const observe = (body: unknown) => {
    if (options.queue === undefined) return Effect.void
    const pending = decodePending(body)
    return Option.isNone(pending) || pending.value.queue_state === undefined
      ? Effect.void
      : options.queue.observe({ state: pending.value.queue_state, reason: pending.value.queue_state_reason })
  }
  const pending = (body: unknown): Effect.Effect<Found<A>> => Effect.as(observe(body), { _tag: "Pending" })

  const interpret = (body: unknown, metadataAllowed: boolean): Effect.Effect<Found<A>, TinkerError.TinkerError> => {
    if (!isRecord(body)) return unreadable(`the result is ${body === null ? "null" : "no object"}`)
    if (body["type"] === "try_again") return pending(body)
    const status = body["status"]
    if (status === "complete_metadata" && metadataAllowed) {
      const size = Option.getOrUndefined(decodeMetadata(body))?.response_payload_size
      return Effect.succeed({ _tag: "Metadata", size: Math.max(0, size ?? 0) })
    }
    if (body["error"] !== undefined && body["error"] !== null) return failed(body["error"], body["category"])
    if (typeof status === "string") {
      return notYet.has(status) ? pending(body) : unreadable(`status: ${JSON.stringify(status)} is not known`)
    }
    const value = decode(body)
    return Either.isRight(value)
      ? Effect.succeed({ _tag: "Result", value: value.right })
      : unreadable(codec.reason(value.left))
  }

  let lost = 0
  let quick = 0
  let doubts = 0
  let queueSeen = false

  // what to do about a poll without a result: wait and ask again, or fail
  const again = (
    error: TinkerError.TinkerError
  ): Effect.Effect<"held" | { readonly delay: number }, TinkerError.TinkerError> => {
    const backOff = Effect.map(
      Effect.suspend(() => RetryPolicy.jittered(1000, 30_000, lost++)),
      (delay) => ({ delay: error.retryAfter === undefined ? delay : Duration.toMillis(error.retryAfter) })
    )
    switch (error._tag) {
      case "TransportError":
        return error.reason === "Timeout" ? Effect.succeed("held") : error.isRetryable ? backOff : Effect.fail(error)
      case "ServerError":
        return error.status === 408
          ? Effect.as(observe(Option.getOrUndefined(decodeJson(error.detail))), "held" as const)
          : backOff
      case "RateLimited":
        return backOff
      case "BadRequest":
        if (error.status !== 400 && !error.isRetryable) return Effect.fail(error)
        // so do some servers say that the operation failed
        return doubts < doubtsAllowed
          ? (doubts++, backOff)
          : failed(error.detail || "no reason given", undefined, error)
      case "DecodeError":
        // the answer may have been garbled on its way; the result can be fetched again
        return doubts < doubtsAllowed ? (doubts++, backOff) : Effect.fail(error)
      default:
        return error.isRetryable ? backOff : Effect.fail(error)
    }
  }

  const watch = progress.watch({
    method,
    requestId,
    progress: options.progress,
    limit: options.noProgressLimit,
    startMillis,
    queue: options.queue
  })

  /** Whatever the operation was waiting for, at its end it waits no longer. */
  const covered = (then: Step<A>): Step<A> => {
    if (queueSeen || options.queue === undefined) return then
    queueSeen = true
    return Effect.ensuring(then, options.queue.observe(QueueState.active)).pipe(Effect.withParentSpan(running.span))
  }

  const step = (allowMetadata: boolean, polled?: Polled): Step<A> => {
    const start = polled === undefined ? clock.unsafeCurrentTimeMillis() : startMillis
    const next: Step<A> = Effect.suspend(() => step(allowMetadata))
    const held = Effect.suspend(() => {
      lost = 0
      const took = clock.unsafeCurrentTimeMillis() - start
      if (took >= heldMillis) {
        quick = 0
        return next
      }
      // a service that answers at once is asked after growing pauses
      return Effect.flatMap(RetryPolicy.jittered(10, heldMillis, quick++), (delay) =>
        delay > took ? Effect.zipRight(Effect.sleep(delay - took), next) : next
      )
    })
    const onFailure = (error: TinkerError.TinkerError): Step<A> => {
      running.retried()
      return covered(
        Effect.flatMap(again(error), (how) =>
          Effect.zipRight(watch.check, how === "held" ? held : Effect.zipRight(Effect.sleep(how.delay), next))
        )
      )
    }
    const onSuccess = (body: unknown): Step<A> =>
      body instanceof TinkerClient.Decoded
        ? Effect.succeed({ _tag: "Result", value: body.value as A })
        : covered(
            Effect.flatMap(interpret(body, allowMetadata), (found) =>
              found._tag === "Pending" ? Effect.zipRight(watch.check, held) : Effect.succeed(found)
            )
          )
    return polled === undefined
      ? Effect.matchEffect(poll(client, options, allowMetadata), { onFailure, onSuccess })
      : Either.isLeft(polled)
        ? onFailure(polled.left)
        : onSuccess(polled.right)
  }

  /** a result that is there, and takes so many bytes */
  const fetch = (size: number): Effect.Effect<A, TinkerError.TinkerError> =>
    Effect.suspend(() => step(false)).pipe(
      Effect.map((found) => gotOn(options, (found as Extract<Found<A>, { _tag: "Result" }>).value)),
      responses.withCost(size)
    )

  const after = (polled: Polled): Effect.Effect<A, TinkerError.TinkerError> =>
    Effect.flatMap(step(true, polled), (found) => {
      if (found._tag === "Result") return Effect.succeed(gotOn(options, found.value))
      // what was waited for is the program's own room, not the service
      doubts = 0
      return fetch(found.size)
    })

  return { watch, fetch, after }
}

/**
 * Waits for the result of an operation that the service has accepted. A poll loses nothing, so it is repeated until the
 * service gives the result, says that it failed, or nothing gets on any more.
 *
 * @internal
 */
export const retrieve = <A, I>(
  client: TinkerClient.Service,
  options: Options<A, I>,
  /** what the first poll comes to, where it has been made */
  polled?: Effect.Effect<unknown, TinkerError.TinkerError>
): Effect.Effect<A, TinkerError.TinkerError> => {
  const { completions, requestId, running } = options
  running.requestId = requestId
  return Effect.suspend(() => {
    const startMillis = running.clock.unsafeCurrentTimeMillis()
    if (completions !== undefined) {
      const { fetch, watch } = patience(client, options, startMillis)
      return Effect.flatMap(completions.wait(requestId, watch), (size) => fetch(size ?? 0)).pipe(
        Effect.ensuring(Effect.sync(() => completions.done(requestId)))
      )
    }
    // most results come by the first poll, and need nothing of what the others do
    return Effect.matchEffect(polled ?? poll(client, options, true), {
      onFailure: (error) => patience(client, options, startMillis).after(Either.left(error)),
      onSuccess: (body) => found(options, body) ?? patience(client, options, startMillis).after(Either.right(body))
    })
  })
}
