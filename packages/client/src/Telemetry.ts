/**
 * What the service is told of a client: that a session began and ended, and which requests failed and how. Events carry
 * statuses, tags and the service's own words; never a prompt, a header or a key. `TINKER_TELEMETRY=0` turns it off.
 *
 * @since 0.1.0
 */
import type * as Api from "@effect-tinker/api/Telemetry"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { platform } from "./internal/transport/platform.ts"
import { uuid } from "./internal/util/uuid.ts"
import { version } from "./internal/util/version.ts"

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
  /** Something that happened, with data that JSON can hold. It never waits and never fails. */
  readonly event: (name: string, data?: { readonly [key: string]: unknown }, severity?: Severity) => Effect.Effect<void>
  /** Why a program ended: a user's mistake is told apart from what nobody expected. */
  readonly failure: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /** Names the session that the events belong to, from its start on. */
  readonly startSession: (sessionId: string) => Effect.Effect<void>
  readonly endSession: Effect.Effect<void>
  /** Sends what waits, as far as the service takes it. */
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

const maxWaiting = 10_000
const maxBatch = 100
const flushEvery = "10 seconds"
const attempts = 3
const retryDelay = Schedule.spaced("1 second")

let processUuid: string | undefined
const getProcessUuid = Effect.suspend(() =>
  processUuid === undefined ? Effect.tap(uuid, (made) => (processUuid ??= made)) : Effect.succeed(processUuid)
)

// whatever way it came in, a key stays here
const scrub = <A>(value: A): A =>
  JSON.parse(JSON.stringify(value).replace(/\b(?:tml-[\w-]{4,}|eyJ[\w-]{8,}(?:\.[\w-]*){0,2})/g, "<redacted>")) as A

/** As Python writes a timedelta: `0:05:03.123456`. */
const timedelta = (millis: number): string => {
  const micros = Math.max(0, Math.round(millis * 1000))
  const seconds = Math.floor(micros / 1e6)
  const two = (n: number) => String(n).padStart(2, "0")
  const fraction = micros % 1e6 === 0 ? "" : `.${String(micros % 1e6).padStart(6, "0")}`
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction}`
}

const isUserError = (error: TinkerError.TinkerError): boolean => error.category === "user"

const nameOf = (error: unknown): string =>
  Predicate.hasProperty(error, "_tag") && typeof error._tag === "string"
    ? error._tag
    : error instanceof Error
      ? error.name
      : typeof error

/**
 * What may be told of a failure.
 *
 * @since 0.1.0
 * @category conversions
 */
export const describe = (error: TinkerError.TinkerError): { readonly [key: string]: unknown } => ({
  exception_type: error._tag,
  exception: "detail" in error ? error.detail : error._tag === "TransportError" ? error.reason : error._tag,
  status_code: "status" in error ? error.status : error._tag === "TransportError" ? 0 : undefined,
  request_id: error.requestId,
  is_retryable: error.isRetryable,
  is_user_error: isUserError(error)
})

type Event<A = Api.Event> = A extends Api.Event
  ? Omit<A, "event_id" | "event_session_index" | "timestamp" | "severity">
  : never

/**
 * A queue of at most 10,000 events, sent in batches of at most 100 every ten seconds until the scope closes, which sends
 * the rest, for five seconds at most. A batch that the service refuses, or that it does not take three times, is dropped.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  send: (batch: Api.SendRequest) => Effect.Effect<void, TinkerError.TinkerError>
): Effect.Effect<Telemetry, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const lock = yield* Effect.makeSemaphore(1)
    let waiting: Array<Api.Event> = []
    let index = 0
    let sessionId: string | undefined
    let started: DateTime.Utc | undefined
    let running = false
    let full = false
    let refused = false
    let gaveUp = false

    const sendBatch = Effect.fnUntraced(function* (events: ReadonlyArray<Api.Event>) {
      sessionId ??= `sessionless-${yield* uuid}`
      const batch = scrub({
        platform: platform.system,
        sdk_version: version,
        session_id: sessionId,
        process_uuid: yield* getProcessUuid
      })
      yield* send({ ...batch, events }).pipe(
        Effect.retry({ times: attempts - 1, schedule: retryDelay, while: (error) => error.isRetryable }),
        Effect.catchAll((error) => {
          // a service that has no such endpoint is not asked again
          refused ||= error._tag === "NotFound"
          gaveUp = true
          return Effect.logDebug(`${events.length} telemetry events were dropped: ${error.message}`)
        })
      )
    })

    const flush: Effect.Effect<void> = lock.withPermits(1)(
      Effect.whileLoop({
        while: () => waiting.length > 0,
        body: () => sendBatch(waiting.splice(0, maxBatch)),
        step: () => {
          if (refused) waiting = []
        }
      })
    )

    const loop = flush.pipe(Effect.delay(flushEvery), Effect.forever)

    const push = (event: Event, severity: Severity) =>
      Effect.gen(function* () {
        if (refused) return
        if (waiting.length >= maxWaiting) {
          if (!full) yield* Effect.logWarning(`${maxWaiting} telemetry events wait: newer ones are dropped`)
          full = true
          return
        }
        full = false
        waiting.push({
          ...event,
          event_id: yield* uuid,
          event_session_index: index++,
          severity,
          timestamp: yield* DateTime.now
        } as Api.Event)
        if (running) return
        running = true
        yield* Effect.forkIn(Effect.interruptible(loop), scope)
      })

    // the session's end has sent what could be sent
    yield* Effect.addFinalizer(() =>
      gaveUp || waiting.length === 0
        ? Effect.void
        : flush.pipe(Effect.interruptible, Effect.timeoutOption("5 seconds"), Effect.asVoid)
    )

    const event: Telemetry["event"] = (event_name, data = {}, severity = "INFO") =>
      Effect.suspend(() => push({ event: "GENERIC_EVENT", event_name, event_data: scrub(data) }, severity))

    return {
      enabled: true,
      event,
      failure: (cause) =>
        Effect.suspend(() => {
          const error = Cause.squash(cause)
          if (TinkerError.isTinkerError(error) && isUserError(error)) {
            return event("user_error", { error_type: error._tag, ...describe(error) }, "WARNING")
          }
          return push(
            {
              event: "UNHANDLED_EXCEPTION",
              error_type: nameOf(error),
              // what a program says of itself stays with it
              error_message: TinkerError.isTinkerError(error) ? String(scrub(describe(error)["exception"])) : ""
            },
            "ERROR"
          )
        }),
      startSession: (id) =>
        Effect.gen(function* () {
          sessionId = id
          started = yield* DateTime.now
          yield* push({ event: "SESSION_START" }, "INFO")
        }),
      endSession: Effect.gen(function* () {
        const now = yield* DateTime.now
        const millis = started === undefined ? 0 : now.epochMillis - started.epochMillis
        yield* push({ event: "SESSION_END", duration: timedelta(millis) }, "INFO")
      }),
      flush
    }
  })
