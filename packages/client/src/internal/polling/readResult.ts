/** Reads the response to a poll: the result, its size, that it is pending, or that the operation failed. */
import * as Future from "@effect-tinker/api/Future"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as codec from "../codec/endpoint.ts"
import { type Decoder, decoderOf } from "../effect/parseError.ts"
import type { Options } from "./options.ts"

/** The operation has ended: its result, or its size where it is too large for a poll. @internal */
export type Ended<A> =
  | { readonly _tag: "Result"; readonly value: A }
  | { readonly _tag: "Metadata"; readonly size: number }

/** @internal */
export type Found<A> = Ended<A> | { readonly _tag: "Pending" }

const decodePending = Schema.decodeUnknownOption(Schema.Struct(Future.TryAgain.fields).pipe(Schema.omit("type")))
const decodeMetadata = Schema.decodeUnknownOption(Future.CompleteMetadata)
const decodeJson = Schema.decodeUnknownOption(Schema.parseJson())

// the statuses by which services report that there is no result yet; a result has no `status`
const pendingStatuses = new Set(["pending", "queued", "running", "processing", "in_progress", "not_ready"])

const decoders = new WeakMap<object, Decoder<unknown>>()

const decoderFor = <A, I>(schema: Schema.Schema<A, I>): Decoder<A> => {
  let decode = decoders.get(schema)
  if (decode === undefined) {
    decode = decoderOf(schema)
    decoders.set(schema, decode)
  }
  return decode as Decoder<A>
}

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

const toCategory = (value: unknown): Future.Category => (value === "user" || value === "server" ? value : "unknown")

type Subject = Pick<Options<unknown, unknown>, "method" | "requestId">

const unreadable = ({ method, requestId }: Subject, reason: string) =>
  new TinkerError.DecodeError({ method, requestId, reason })

/** The operation ran, and failed. @internal */
export const operationFailed = (
  { method, requestId }: Subject,
  reason: unknown,
  category: unknown,
  cause?: unknown
): TinkerError.RequestFailed =>
  new TinkerError.RequestFailed({
    method,
    requestId,
    reason: typeof reason === "string" ? reason : JSON.stringify(reason),
    category: toCategory(category),
    ...(cause === undefined ? {} : { cause })
  })

/** Reports to the queue observer why a result is pending, if the body has the reason. */
const observeQueue = ({ queue }: Pick<Options<never, never>, "queue">, body: unknown): Effect.Effect<void> => {
  if (queue === undefined) return Effect.void
  const pending = decodePending(body)
  return Option.isNone(pending) || pending.value.queue_state === undefined
    ? Effect.void
    : queue.observe({ state: pending.value.queue_state, reason: pending.value.queue_state_reason })
}

/** The same for the body of an error. @internal */
export const observeQueueOfText = (options: Pick<Options<never, never>, "queue">, text: string): Effect.Effect<void> =>
  observeQueue(options, Option.getOrUndefined(decodeJson(text)))

/** Reads the JSON body of a poll. @internal */
export const readResult = <A, I>(
  options: Options<A, I>,
  body: unknown,
  allowMetadata: boolean
): Effect.Effect<Found<A>, TinkerError.TinkerError> => {
  if (!isRecord(body)) return unreadable(options, `the result is ${body === null ? "null" : "not an object"}`)
  const pending = Effect.as(observeQueue(options, body), { _tag: "Pending" } as const)
  if (body["type"] === "try_again") return pending
  const status = body["status"]
  if (status === "complete_metadata" && allowMetadata) {
    const size = Option.getOrUndefined(decodeMetadata(body))?.response_payload_size
    return Effect.succeed({ _tag: "Metadata", size: Math.max(0, size ?? 0) })
  }
  if (body["error"] !== undefined && body["error"] !== null) {
    return operationFailed(options, body["error"], body["category"])
  }
  if (typeof status === "string") {
    return pendingStatuses.has(status) ? pending : unreadable(options, `unknown status: ${JSON.stringify(status)}`)
  }
  const value = decoderFor(options.schema)(body)
  return Either.isRight(value)
    ? Effect.succeed({ _tag: "Result", value: value.right })
    : unreadable(options, codec.reason(value.left))
}
