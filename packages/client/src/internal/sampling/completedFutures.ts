/** Long polls for all samples of a sampling session at once, where the service enables them. */
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as QueueState from "../../QueueState.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as Session from "../../Session.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import { completeDeferred, makeDeferred } from "../effect/runtime.ts"
import type { Completions } from "../polling/options.ts"
import { failurePause, maxAmbiguousFailures, pollPolicy } from "../polling/policy.ts"
import type { Watch } from "../polling/progress.ts"
import type { RetryReport } from "../telemetry/retryReport.ts"
import { jittered } from "../util/backoff.ts"

const method = "sample"
const acknowledgePolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "5 seconds", billingPause: false }

// results of samples whose acceptance is lost, or has not arrived yet
const maxUnclaimed = 10_000
const watchEvery = Duration.minutes(1)

type Size = number | undefined
type Waiter = Deferred.Deferred<Size, TinkerError.TinkerError>

interface Options {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
  readonly samplingSessionId: string
  readonly queueState: QueueState.Observer
}

class CompletedFutures implements Completions {
  private readonly options: Options
  private readonly waiters = new Map<string, Waiter>()
  /** sizes of results that no sample has waited for yet */
  private readonly unclaimed = new Map<string, Size>()
  /** results to acknowledge with the next poll */
  private retrieved: Array<string> = []
  private cursor = 0
  private isPolling = false
  private ambiguousFailures = 0
  private failures = 0
  private readonly report: RetryReport

  constructor(options: Options) {
    this.options = options
    this.report = options.client.reportRetries(options.queueState)
  }

  wait(requestId: string, watch: Watch): Effect.Effect<Size, TinkerError.TinkerError> {
    return Effect.suspend(() => {
      if (this.unclaimed.has(requestId)) {
        const size = this.unclaimed.get(requestId)
        this.unclaimed.delete(requestId)
        return Effect.succeed(size)
      }
      const waiter: Waiter = makeDeferred()
      this.waiters.set(requestId, waiter)
      return Effect.flatMap(this.startPolling, () => watched(waiter, watch)).pipe(
        Effect.ensuring(Effect.sync(() => this.waiters.delete(requestId)))
      )
    })
  }

  done(requestId: string): void {
    this.retrieved.push(requestId)
  }

  private poll(policy: RetryPolicy.RetryPolicy, timeout?: number) {
    return Effect.suspend(() => {
      const acknowledged = this.retrieved
      this.retrieved = []
      const request = {
        target: {
          type: "sampling_session" as const,
          sampling_session_id: this.options.samplingSessionId,
          cloned_sampler_id: 0
        },
        prev_cursor: this.cursor,
        retrieved_request_ids: acknowledged,
        ...(timeout === undefined ? {} : { timeout })
      }
      return Effect.tapError(this.options.client.call(TinkerApi.retrieveFutures, request, { method, policy }), () =>
        Effect.sync(() => {
          this.retrieved = [...acknowledged, ...this.retrieved]
        })
      )
    })
  }

  private complete(requestId: string, size: Size): void {
    const waiter = this.waiters.get(requestId)
    if (waiter !== undefined) return completeDeferred(waiter, Effect.succeed(size))
    this.unclaimed.set(requestId, size)
    if (this.unclaimed.size > maxUnclaimed) this.unclaimed.delete(this.unclaimed.keys().next().value!)
  }

  private completeAll(result: Effect.Effect<Size, TinkerError.TinkerError>): void {
    for (const waiter of this.waiters.values()) completeDeferred(waiter, result)
    this.waiters.clear()
  }

  /** Polls while samples wait for results, and acknowledges the last ones. */
  private readonly loop: Effect.Effect<void> = Effect.gen(this, function* () {
    this.ambiguousFailures = this.failures = 0
    while (this.waiters.size > 0) {
      const response = yield* Effect.either(this.poll(pollPolicy))
      if (Either.isLeft(response)) {
        yield* this.onFailure(response.left)
        continue
      }
      this.ambiguousFailures = this.failures = 0
      yield* this.report.ended
      this.cursor = response.right.cursor
      for (const { request_id, response_payload_uncompressed_size } of response.right.completions) {
        this.complete(request_id, response_payload_uncompressed_size)
      }
      // lets the waiters run; whether another poll is needed depends on them
      yield* Effect.yieldNow()
    }
    if (this.retrieved.length > 0) yield* Effect.ignore(this.poll(acknowledgePolicy, 0))
  })

  private onFailure(error: TinkerError.TinkerError): Effect.Effect<void> {
    // the service held the poll for longer than its timeout
    if (error._tag === "TransportError" && error.reason === "Timeout") return this.report.onRetry(error)
    const isAmbiguous = error._tag === "BadRequest" || error._tag === "DecodeError"
    if (!error.isRetryable && !(isAmbiguous && this.ambiguousFailures++ < maxAmbiguousFailures)) {
      return Effect.andThen(
        this.report.ended,
        Effect.sync(() => this.completeAll(Effect.fail(error)))
      )
    }
    return Effect.andThen(
      this.report.onRetry(error),
      Effect.flatMap(jittered(failurePause.first, failurePause.cap, this.failures++), (pause) =>
        Effect.sleep(error.retryAfter ?? pause)
      )
    )
  }

  private readonly startPolling: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isPolling) return Effect.void
    this.isPolling = true
    return this.loop.pipe(
      // the session has ended
      Effect.onInterrupt(() => Effect.sync(() => this.completeAll(Effect.interrupt))),
      Effect.ensuring(
        Effect.suspend(() => {
          this.isPolling = false
          return this.waiters.size > 0 ? this.startPolling : Effect.void
        })
      ),
      Effect.interruptible,
      Effect.forkIn(this.options.session.scope),
      Effect.asVoid
    )
  })
}

/** Waits, and checks once a minute whether the client still makes progress. */
const watched = (waiter: Waiter, watch: Watch): Effect.Effect<Size, TinkerError.TinkerError> =>
  Effect.flatMap(Effect.timeoutOption(Deferred.await(waiter), watchEvery), (size) =>
    Option.isSome(size) ? Effect.succeed(size.value) : Effect.flatMap(watch.check, () => watched(waiter, watch))
  )

/** @internal */
export const make = (options: Options): Completions => new CompletedFutures(options)
