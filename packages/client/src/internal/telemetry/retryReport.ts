/**
 * Says that requests are sent again: a warning at the first retry, and the queue state once the same failure repeats. A
 * service that does not answer has one warning for all requests, after a few seconds.
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as QueueState from "../../QueueState.ts"

/** From this many failures of one kind in a row on, they are shown. */
const shownAfter = 5

// of one kind of failure, so that thousands of samples on a dead service give one line
const warningIntervalMillis = 60_000

/**
 * Follows the failures of one operation that is tried again.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryReport {
  /** Another attempt is due after this failure. */
  readonly onRetry: (error: TinkerError.TinkerError) => Effect.Effect<void>
  /** An attempt has succeeded, or none is due any more. */
  readonly ended: Effect.Effect<void>
}

// a connection that breaks once is not worth a line
const unansweredAfterMillis = 3000

/** When each kind of failure was last logged. One for each client. @internal */
export type Warnings = Map<string, number>

/** Failures of one kind differ by ids and times in their texts alone. */
const kindOf = (error: TinkerError.TinkerError): string =>
  `${error.method} ${error._tag} ${"status" in error ? error.status : error._tag === "TransportError" ? error.reason : ""}`

/**
 * Whether the first failure of its kind is worth a line. A service may hold a poll for longer than the client waits, and
 * pauses for lack of credit have a line of their own.
 */
const isRemarkable = (error: TinkerError.TinkerError): boolean =>
  error._tag !== "PaymentRequired" &&
  !(error._tag === "TransportError" && error.reason === "Timeout" && error.requestId !== undefined)

/** Whether no response arrived; a service may hold a poll for longer than the client waits. */
const isUnanswered = (error: TinkerError.TinkerError): boolean =>
  error._tag === "TransportError" &&
  (error.reason === "Connection" || (error.reason === "Timeout" && error.requestId === undefined))

class Report implements RetryReport {
  private readonly warnings: Warnings
  private readonly queue: QueueState.Observer | undefined
  private kind = ""
  private count = 0
  /** when the first failure of this kind in a row was noticed */
  private since = 0
  private isShown = false

  constructor(warnings: Warnings, queue: QueueState.Observer | undefined) {
    this.warnings = warnings
    this.queue = queue
  }

  readonly onRetry = (error: TinkerError.TinkerError): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const kind = kindOf(error)
      this.count = kind === this.kind ? this.count + 1 : 1
      this.kind = kind
      if (this.count === 1) this.since = now
      if (isUnanswered(error)) return this.onUnanswered(error, now - this.since)
      if (this.count >= shownAfter) return this.show(error)
      return this.count === 1 && isRemarkable(error)
        ? this.warn(kind, `retrying after a failure: ${error.message}`)
        : Effect.void
    })

  readonly ended: Effect.Effect<void> = Effect.suspend(() => {
    this.count = 0
    if (!this.isShown) return Effect.void
    this.isShown = false
    return this.queue?.observe(QueueState.active) ?? Effect.void
  })

  /** All requests fail like this: they share a line. */
  private onUnanswered(error: TinkerError.TinkerError, forMillis: number): Effect.Effect<void> {
    const isLong = forMillis >= unansweredAfterMillis || (error._tag === "TransportError" && error.reason === "Timeout")
    const warned = isLong
      ? this.warn("unanswered", `retrying, ${this.count} failures in a row: ${error.message}`)
      : Effect.void
    if (this.count < shownAfter || this.queue === undefined) return warned
    this.isShown = true
    return Effect.andThen(
      warned,
      this.queue.observe({ state: "retrying", reason: this.reasonOf(error) }, { quiet: true })
    )
  }

  private reasonOf(error: TinkerError.TinkerError): string {
    return `the same failure ${shownAfter} times or more in a row: ${error.message}`
  }

  /** The observer logs what it is told at most once a minute, as `warn` does. */
  private show(error: TinkerError.TinkerError): Effect.Effect<void> {
    const reason = this.reasonOf(error)
    if (this.queue === undefined) {
      return error._tag === "PaymentRequired"
        ? Effect.void
        : this.warn(`${this.kind} again`, `still retrying: ${reason}`)
    }
    this.isShown = true
    return this.queue.observe({ state: "retrying", reason })
  }

  private warn(key: string, line: string): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now - (this.warnings.get(key) ?? Number.NEGATIVE_INFINITY) < warningIntervalMillis) return Effect.void
      this.warnings.set(key, now)
      return Effect.logWarning(line)
    })
  }
}

/** Starts a report. `queue` is the state of the client that the operation belongs to. @internal */
export const make = (warnings: Warnings, queue?: QueueState.Observer): RetryReport => new Report(warnings, queue)
