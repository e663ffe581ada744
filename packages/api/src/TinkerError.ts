/**
 * Everything that can go wrong, as one flat union of tagged errors. Each says what to do, whose fault it is
 * (`category`), whether the same request may succeed later (`isRetryable`), and carries the request id where there is
 * one. None ever holds a key.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Category } from "./Future.ts"
import { optionalKey } from "./internal/schemas/optional.ts"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("~@effect-tinker/api/TinkerError")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

// the operation of ours that failed, such as `forwardBackward`
const common = { method: Schema.String, requestId: optionalKey(Schema.String), cause: optionalKey(Schema.Defect) }

// an answer of the service: what the body said, and how long the server asks to wait
const answer = {
  ...common,
  status: Schema.Number,
  detail: Schema.String,
  retryAfterMillis: optionalKey(Schema.Number),
  shouldRetry: optionalKey(Schema.Boolean)
}

const id = (name: string) => `@effect-tinker/api/TinkerError/${name}`

const withRequest = (self: { readonly requestId?: string }, text: string) =>
  self.requestId === undefined ? text : `${text} (request ${self.requestId})`

const said = (
  self: { readonly method: string; readonly status: number; readonly detail: string; readonly requestId?: string },
  advice: string
) =>
  withRequest(
    self,
    `${self.method}: the service answered ${self.status}: ${self.detail || "no reason given"}. ${advice}`
  )

const wait = (self: { readonly retryAfterMillis?: number }): Duration.Duration | undefined =>
  self.retryAfterMillis === undefined ? undefined : Duration.millis(self.retryAfterMillis)

/**
 * A value was refused before anything was sent. `path` leads to the field at fault.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidInput extends Schema.TaggedError<InvalidInput>(id("InvalidInput"))("InvalidInput", {
  ...common,
  path: Schema.String,
  reason: Schema.String
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return `${this.method}: ${this.path} ${this.reason}. Nothing was sent.`
  }
}

/**
 * No answer arrived. Whether the service received the request is not known.
 *
 * @since 0.1.0
 * @category errors
 */
export class TransportError extends Schema.TaggedError<TransportError>(id("TransportError"))("TransportError", {
  ...common,
  reason: Schema.Literal("Connection", "Timeout", "InvalidUrl"),
  url: Schema.String
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "unknown"
  readonly retryAfter: Duration.Duration | undefined = undefined
  get isRetryable(): boolean {
    return this.reason !== "InvalidUrl"
  }
  override get message(): string {
    const what = this.reason === "Timeout" ? "did not answer in time" : "could not be reached"
    return withRequest(this, `${this.method}: ${this.url} ${what}. Check the base URL and the network.`)
  }
}

/**
 * The service refused the request as it is (400, 422, and 4xx statuses without a class of their own).
 *
 * @since 0.1.0
 * @category errors
 */
export class BadRequest extends Schema.TaggedError<BadRequest>(id("BadRequest"))("BadRequest", answer) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  get isRetryable(): boolean {
    return this.shouldRetry ?? false
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(this, "Correct the request.")
  }
}

/**
 * The key is missing, wrong or expired (401).
 *
 * @since 0.1.0
 * @category errors
 */
export class Unauthorized extends Schema.TaggedError<Unauthorized>(id("Unauthorized"))("Unauthorized", answer) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  get isRetryable(): boolean {
    return this.shouldRetry ?? false
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(this, "Check TINKER_API_KEY.")
  }
}

/**
 * The account must pay first (402).
 *
 * @since 0.1.0
 * @category errors
 */
export class PaymentRequired extends Schema.TaggedError<PaymentRequired>(id("PaymentRequired"))(
  "PaymentRequired",
  answer
) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  get isRetryable(): boolean {
    return this.shouldRetry ?? false
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(this, "Check the account's billing.")
  }
}

/**
 * The key may not do this (403).
 *
 * @since 0.1.0
 * @category errors
 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>(id("PermissionDenied"))(
  "PermissionDenied",
  answer
) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  get isRetryable(): boolean {
    return this.shouldRetry ?? false
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(this, "Use a key that has access.")
  }
}

/**
 * No such session, model, checkpoint or future (404).
 *
 * @since 0.1.0
 * @category errors
 */
export class NotFound extends Schema.TaggedError<NotFound>(id("NotFound"))("NotFound", answer) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  get isRetryable(): boolean {
    return this.shouldRetry ?? false
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(this, "Check the id or path, and that the session is still alive.")
  }
}

/**
 * The request contradicts what the service holds (409). A retry of the very same request is answered with its first
 * result, so trying again does not help.
 *
 * @since 0.1.0
 * @category errors
 */
export class Conflict extends Schema.TaggedError<Conflict>(id("Conflict"))("Conflict", answer) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  get isRetryable(): boolean {
    return this.shouldRetry ?? false
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(
      this,
      "If a checkpoint has that name already, choose another one or save with `overwrite: true`; else check what was done before."
    )
  }
}

/**
 * The service no longer holds the result (410).
 *
 * @since 0.1.0
 * @category errors
 */
export class FutureExpired extends Schema.TaggedError<FutureExpired>(id("FutureExpired"))("FutureExpired", answer) {
  readonly [TypeId] = TypeId
  readonly category: Category = "server"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return said(this, "The operation may have been applied, but its result is gone.")
  }
}

/**
 * Too many requests (429).
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimited extends Schema.TaggedError<RateLimited>(id("RateLimited"))("RateLimited", answer) {
  readonly [TypeId] = TypeId
  readonly category: Category = "server"
  get isRetryable(): boolean {
    return this.shouldRetry ?? true
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(this, "Send less at once, or wait.")
  }
}

/**
 * The service failed (408, 5xx).
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerError extends Schema.TaggedError<ServerError>(id("ServerError"))("ServerError", answer) {
  readonly [TypeId] = TypeId
  readonly category: Category = "server"
  get isRetryable(): boolean {
    return this.shouldRetry ?? true
  }
  get retryAfter(): Duration.Duration | undefined {
    return wait(this)
  }
  override get message(): string {
    return said(this, "Try again; if it lasts, report the request id.")
  }
}

/**
 * A successful answer did not have the form of the contract.
 *
 * @since 0.1.0
 * @category errors
 */
export class DecodeError extends Schema.TaggedError<DecodeError>(id("DecodeError"))("DecodeError", {
  ...common,
  reason: Schema.String
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "server"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return withRequest(this, `${this.method}: the answer does not fit the contract: ${this.reason}`)
  }
}

/**
 * The service accepted the operation, ran it, and reports that it failed.
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestFailed extends Schema.TaggedError<RequestFailed>(id("RequestFailed"))("RequestFailed", {
  ...common,
  reason: Schema.String,
  category: Schema.Literal("user", "server", "unknown")
}) {
  readonly [TypeId] = TypeId
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return withRequest(this, `${this.method} failed: ${this.reason}`)
  }
}

/**
 * An earlier operation of this client could not be submitted, so this one was not sent: going on would train in another
 * order than the program asked for. Make a new client from the last checkpoint.
 *
 * @since 0.1.0
 * @category errors
 */
export class ClientBroken extends Schema.TaggedError<ClientBroken>(id("ClientBroken"))("ClientBroken", {
  ...common,
  operation: Schema.String,
  seqId: Schema.Number
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "unknown"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return withRequest(
      this,
      `${this.method} was not sent: ${this.operation} (seq_id ${this.seqId}) could not be submitted before it. ` +
        `Make a new client from the last checkpoint.`
    )
  }
}

/**
 * The client's scope closed before the result arrived. The operation may have been applied.
 *
 * @since 0.1.0
 * @category errors
 */
export class ClientClosed extends Schema.TaggedError<ClientClosed>(id("ClientClosed"))("ClientClosed", common) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return withRequest(
      this,
      `${this.method}: the client was closed before the result arrived; the operation may have been applied. ` +
        `Await the result inside the client's scope.`
    )
  }
}

/**
 * Files on this machine stand in the way: what should be written exists, cannot be written, or is not what it should
 * be. `path` is the file or directory.
 *
 * @since 0.1.0
 * @category errors
 */
export class FileError extends Schema.TaggedError<FileError>(id("FileError"))("FileError", {
  ...common,
  path: Schema.String,
  reason: Schema.String
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return withRequest(this, `${this.method}: ${this.path} ${this.reason}`)
  }
}

/**
 * The service has ended the session: its models are unloaded, and nothing that is asked of it will be answered. Open
 * another session, and go on from the last checkpoint.
 *
 * @since 0.1.0
 * @category errors
 */
export class SessionLost extends Schema.TaggedError<SessionLost>(id("SessionLost"))("SessionLost", {
  ...common,
  sessionId: Schema.String,
  reason: Schema.String
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "server"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return withRequest(
      this,
      `session ${this.sessionId} has ended: ${this.reason}. Open another, and go on from the last checkpoint.`
    )
  }
}

/**
 * For a long time no operation of the client has got on. The operation was submitted and may still be applied; the queue
 * state is the last that the service gave.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoProgress extends Schema.TaggedError<NoProgress>(id("NoProgress"))("NoProgress", {
  ...common,
  waitedMillis: Schema.Number,
  queueState: Schema.String,
  queueStateReason: optionalKey(Schema.String)
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "server"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    const reason = this.queueStateReason === undefined ? "" : ` (${this.queueStateReason})`
    return withRequest(
      this,
      `${this.method}: nothing has got on for ${Math.round(this.waitedMillis / 1000)} s; the queue was last ` +
        `${this.queueState}${reason}. Wait with a longer limit, or report the request id.`
    )
  }
}

/**
 * A loss function of the program's own gave no gradient that can be used. No gradient was applied, and the client goes
 * on.
 *
 * @since 0.1.0
 * @category errors
 */
export class LossFailed extends Schema.TaggedError<LossFailed>(id("LossFailed"))("LossFailed", {
  ...common,
  path: Schema.String,
  reason: Schema.String
}) {
  readonly [TypeId] = TypeId
  readonly category: Category = "user"
  readonly isRetryable = false
  readonly retryAfter: Duration.Duration | undefined = undefined
  override get message(): string {
    return `${this.method}: ${this.path} ${this.reason}. No gradient was applied.`
  }
}

/**
 * @since 0.1.0
 * @category errors
 */
export type TinkerError =
  | InvalidInput
  | TransportError
  | BadRequest
  | Unauthorized
  | PaymentRequired
  | PermissionDenied
  | NotFound
  | Conflict
  | FutureExpired
  | RateLimited
  | ServerError
  | DecodeError
  | RequestFailed
  | ClientBroken
  | ClientClosed
  | FileError
  | SessionLost
  | NoProgress
  | LossFailed

/**
 * @since 0.1.0
 * @category guards
 */
export const isTinkerError = (u: unknown): u is TinkerError => Predicate.hasProperty(u, TypeId)

/**
 * What an answer that is not a success consists of. Header names are in lower case.
 *
 * @since 0.1.0
 * @category models
 */
export interface FailedResponse {
  readonly method: string
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: string
  readonly requestId?: string | undefined
  /** milliseconds since the epoch, to read a `Retry-After` date against */
  readonly now: number
}

const detailOf = (body: string): string => {
  try {
    const json: unknown = JSON.parse(body)
    if (typeof json === "object" && json !== null) {
      for (const key of ["detail", "message", "error"] as const) {
        const value = (json as Record<string, unknown>)[key]
        if (typeof value === "string") return value
        if (value !== undefined && value !== null) return JSON.stringify(value).slice(0, 2000)
      }
    }
  } catch {
    // not JSON: an edge proxy answers with a page
  }
  return body.trim().slice(0, 2000)
}

/**
 * How long the server asks to wait, in milliseconds: `retry-after-ms`, else `retry-after` as seconds, else as a date.
 * A hint that is not above 0, or is above a minute, is not obeyed.
 *
 * @since 0.1.0
 * @category conversions
 */
export const retryAfterMillis = (
  headers: { readonly [name: string]: string | undefined },
  now: number
): number | undefined => {
  const precise = Number.parseFloat(headers["retry-after-ms"] ?? "")
  const text = headers["retry-after"] ?? ""
  const seconds = text.trim() === "" ? Number.NaN : Number(text)
  const hint = !Number.isNaN(precise) ? precise : !Number.isNaN(seconds) ? seconds * 1000 : Date.parse(text) - now
  return hint > 0 && hint <= 60_000 ? hint : undefined
}

/**
 * The error that a status stands for.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromResponse = (options: FailedResponse): TinkerError => {
  const hint = retryAfterMillis(options.headers, options.now)
  const should = options.headers["x-should-retry"]
  const requestId = options.requestId ?? options.headers["x-request-id"]
  const fields = {
    method: options.method,
    status: options.status,
    detail: detailOf(options.body),
    ...(requestId === undefined ? {} : { requestId }),
    ...(hint === undefined ? {} : { retryAfterMillis: hint }),
    ...(should === "true" || should === "false" ? { shouldRetry: should === "true" } : {})
  }
  switch (options.status) {
    case 401:
      return new Unauthorized(fields)
    case 402:
      return new PaymentRequired(fields)
    case 403:
      return new PermissionDenied(fields)
    case 404:
      return new NotFound(fields)
    case 408:
      return new ServerError(fields)
    case 409:
      return new Conflict(fields)
    case 410:
      return new FutureExpired(fields)
    case 429:
      return new RateLimited(fields)
    default:
      return options.status >= 500 ? new ServerError(fields) : new BadRequest(fields)
  }
}
