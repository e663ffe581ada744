/** A queue of telemetry events, which are sent in batches. */
import type * as Api from "@effect-tinker/api/Telemetry"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { platform } from "#platform"
import { processUuid } from "../effect/processUuid.ts"
import { makeSemaphore } from "../effect/runtime.ts"
import { uuid } from "../util/uuid.ts"
import { version } from "../util/version.ts"
import { redactKeys } from "./events.ts"

const maxWaiting = 10_000
const maxBatch = 100
const flushEvery = "10 seconds"
const attempts = 3
const retryDelay = Schedule.spaced("1 second")

/** An event without what the queue adds. @internal */
export type Event<A = Api.Event> = A extends Api.Event
  ? Omit<A, "event_id" | "event_session_index" | "timestamp" | "severity">
  : never

/** @internal */
export type Send = (batch: Api.SendRequest) => Effect.Effect<void, TinkerError.TinkerError>

/** @internal */
export class EventQueue {
  sessionId: string | undefined = undefined
  private readonly send: Send
  private readonly isReachable: () => boolean
  private readonly scope: Scope.Scope
  private readonly lock: Effect.Semaphore
  private waiting: Array<Api.Event> = []
  private nextIndex = 0
  private isLooping = false
  /** a warning has been logged since there was room last */
  private hasWarned = false
  /** the service has no such endpoint */
  private isUnsupported = false
  private hasDropped = false
  private isClosing = false

  constructor(send: Send, isReachable: () => boolean, scope: Scope.Scope, lock: Effect.Semaphore) {
    this.send = send
    this.isReachable = isReachable
    this.scope = scope
    this.lock = lock
  }

  /** Adds an event, or drops it if the queue is full. It never fails. */
  push(event: Event, severity: Api.Event["severity"]): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (this.isUnsupported) return
      if (this.waiting.length >= maxWaiting) {
        if (!this.hasWarned) yield* Effect.logWarning(`${maxWaiting} telemetry events wait: newer ones are dropped`)
        this.hasWarned = true
        return
      }
      this.hasWarned = false
      this.waiting.push({
        ...event,
        event_id: yield* uuid,
        event_session_index: this.nextIndex++,
        severity,
        timestamp: yield* DateTime.now
      } as Api.Event)
      if (this.isLooping) return
      this.isLooping = true
      yield* Effect.forkIn(Effect.interruptible(this.loop), this.scope)
    })
  }

  /** Sends the queued events. */
  readonly flush: Effect.Effect<void> = Effect.suspend(() =>
    this.lock.withPermits(1)(
      Effect.whileLoop({
        // what could not be sent at the end would fail again
        while: () => this.waiting.length > 0 && !(this.isClosing && this.hasDropped),
        body: () => this.sendBatch(this.waiting.splice(0, maxBatch)),
        step: () => {
          if (this.isUnsupported) this.waiting = []
        }
      })
    )
  )

  /** Sends the remaining events when the scope closes, once, unless a batch was dropped: a program that ends must not wait. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosing = true
    return this.hasDropped || this.waiting.length === 0 || !this.isReachable()
      ? Effect.void
      : this.flush.pipe(Effect.interruptible, Effect.timeoutOption("5 seconds"), Effect.asVoid)
  })

  private readonly loop = this.flush.pipe(Effect.delay(flushEvery), Effect.forever)

  private sendBatch(events: ReadonlyArray<Api.Event>): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      this.sessionId ??= `sessionless-${yield* uuid}`
      const source = redactKeys({
        platform: platform.telemetrySystem,
        sdk_version: version,
        session_id: this.sessionId,
        process_uuid: yield* processUuid
      })
      yield* this.send({ ...source, events }).pipe(
        Effect.retry({
          times: attempts - 1,
          schedule: retryDelay,
          while: (error) => error.isRetryable && !this.isClosing
        }),
        Effect.catchAll((error) => {
          this.isUnsupported ||= error._tag === "NotFound"
          this.hasDropped = true
          return Effect.logDebug(`${events.length} telemetry events were dropped: ${error.message}`)
        })
      )
    })
  }
}

/** A queue that closes with the scope. @internal */
export const make = (send: Send, isReachable: () => boolean): Effect.Effect<EventQueue, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = new EventQueue(send, isReachable, yield* Effect.scope, yield* makeSemaphore(1))
    yield* Effect.addFinalizer(() => queue.close)
    return queue
  })
