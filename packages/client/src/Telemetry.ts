/**
 * What a client reports to the service: that a session started and ended, and which requests failed and how. Events hold
 * types of errors, statuses and request ids; never a prompt, a path, a header, a key, or the text of an error, as services
 * echo requests there. `docs/telemetry.md` shows a batch. `TINKER_TELEMETRY=0` turns it off.
 *
 * @since 0.1.0
 */
import type * as Api from "@effect-tinker/api/Telemetry"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as eventQueue from "./internal/telemetry/eventQueue.ts"
import * as events from "./internal/telemetry/events.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type Severity = "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL"

/**
 * @since 0.1.0
 * @category models
 */
export interface Telemetry {
  readonly enabled: boolean
  /**
   * Reports an event, with data that JSON can hold, of at most 10,000 characters. Keys and tokens are removed from the
   * data. It never waits and never fails.
   */
  readonly event: (name: string, data?: { readonly [key: string]: unknown }, severity?: Severity) => Effect.Effect<void>
  /** Reports why a program ended: a user's error as such, and anything else as an unhandled exception. */
  readonly failure: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /** Reports the start of the session that later events belong to. */
  readonly startSession: (sessionId: string) => Effect.Effect<void>
  readonly endSession: Effect.Effect<void>
  /** Sends the queued events. */
  readonly flush: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const disabled: Telemetry = {
  enabled: false,
  event: () => Effect.void,
  failure: () => Effect.void,
  startSession: () => Effect.void,
  endSession: Effect.void,
  flush: Effect.void
}

/**
 * What may be reported of a failure.
 *
 * @since 0.1.0
 * @category conversions
 */
export const describe: (error: TinkerError.TinkerError) => { readonly [key: string]: unknown } = events.describe

const reportFailure = (
  queue: eventQueue.EventQueue,
  event: Telemetry["event"],
  cause: Cause.Cause<unknown>
): Effect.Effect<void> => {
  const error = Cause.squash(cause)
  return TinkerError.isTinkerError(error) && events.isUserError(error)
    ? event("user_error", { error_type: error._tag, ...describe(error) }, "WARNING")
    : queue.push(
        { event: "UNHANDLED_EXCEPTION", error_type: events.nameOf(error), error_message: events.messageOf(error) },
        "ERROR"
      )
}

/**
 * A queue of at most 10,000 events. Every ten seconds they are sent in batches of at most 100; when the scope closes, the
 * rest is sent once, for five seconds at most, if the service can be reached. A batch is dropped if the service rejects it,
 * or fails three times.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  send: (batch: Api.SendRequest) => Effect.Effect<void, TinkerError.TinkerError>,
  /** whether the last request got a response; yes by default */
  isReachable: () => boolean = () => true
): Effect.Effect<Telemetry, never, Scope.Scope> =>
  Effect.map(eventQueue.make(send, isReachable), (queue) => {
    let started: DateTime.Utc | undefined
    const event: Telemetry["event"] = (event_name, data = {}, severity = "INFO") =>
      Effect.suspend(() =>
        queue.push({ event: "GENERIC_EVENT", event_name, event_data: events.eventData(data) }, severity)
      )
    return {
      enabled: true,
      event,
      failure: (cause) => Effect.suspend(() => reportFailure(queue, event, cause)),
      startSession: (sessionId) =>
        Effect.gen(function* () {
          queue.sessionId = sessionId
          started = yield* DateTime.now
          yield* queue.push({ event: "SESSION_START" }, "INFO")
        }),
      endSession: Effect.gen(function* () {
        const now = yield* DateTime.now
        const millis = started === undefined ? 0 : DateTime.toEpochMillis(now) - DateTime.toEpochMillis(started)
        yield* queue.push({ event: "SESSION_END", duration: events.timedelta(millis) }, "INFO")
      }),
      flush: queue.flush
    }
  })
