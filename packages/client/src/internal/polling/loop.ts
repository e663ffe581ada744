/** Polls until an operation has ended, if the first poll did not bring its result. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as QueueState from "../../QueueState.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import type { Options } from "./options.ts"
import { decodedResult, finish, poll } from "./poll.ts"
import { failurePause, heldMillis, maxAmbiguousFailures } from "./policy.ts"
import * as progress from "./progress.ts"
import { type Ended, observeQueueOfText, operationFailed, readResult } from "./readResult.ts"
import type { RetryReport } from "../telemetry/retryReport.ts"
import { jittered } from "../util/backoff.ts"

type Step<A> = Effect.Effect<Ended<A>, TinkerError.TinkerError>

/** When the next poll is due: at once if the service held the last one, or after a pause. */
type Next = "held" | { readonly delayMillis: number }

class PollLoop<A, I> {
  readonly watch: progress.Watch
  private readonly client: TinkerClient.Service
  private readonly options: Options<A, I>
  private readonly startMillis: number
  /** polls in a row that failed */
  private failures = 0
  /** polls in a row that the service did not hold */
  private unheldPolls = 0
  private ambiguousFailures = 0
  private resetsQueueState = false
  /** from the first failure on */
  private report: RetryReport | undefined = undefined

  constructor(client: TinkerClient.Service, options: Options<A, I>, startMillis: number) {
    this.client = client
    this.options = options
    this.startMillis = startMillis
    this.watch = progress.watch({
      method: options.method,
      requestId: options.requestId,
      progress: options.progress,
      limit: options.noProgressLimit,
      startMillis,
      queue: options.queue
    })
  }

  /** Continues after the first poll. */
  after(first: Either.Either<unknown, TinkerError.TinkerError>): Effect.Effect<A, TinkerError.TinkerError> {
    const step = Either.isLeft(first)
      ? this.onFailure(first.left, true, this.startMillis)
      : this.onBody(first.right, true, this.startMillis)
    return Effect.flatMap(step, (ended) => {
      if (ended._tag === "Result") return Effect.succeed(finish(this.options, ended.value))
      // from here on it waits for room in the client's budget, not for the service
      this.ambiguousFailures = 0
      return this.fetch(ended.size)
    })
  }

  /** Fetches the result of an operation that has ended, within the budget for large results. */
  fetch(size: number): Effect.Effect<A, TinkerError.TinkerError> {
    return Effect.suspend(() => this.step(false)).pipe(
      Effect.map((ended) => finish(this.options, (ended as Extract<Ended<A>, { _tag: "Result" }>).value)),
      this.options.responses.withCost(size)
    )
  }

  private get now(): number {
    return this.options.record.clock.unsafeCurrentTimeMillis()
  }

  /** Polls until the operation has ended. */
  private step(allowMetadata: boolean): Step<A> {
    const sentMillis = this.now
    return Effect.matchEffect(poll(this.client, this.options, allowMetadata), {
      onFailure: (error) => this.onFailure(error, allowMetadata, sentMillis),
      onSuccess: (body) => this.onBody(body, allowMetadata, sentMillis)
    })
  }

  private onFailure(error: TinkerError.TinkerError, allowMetadata: boolean, sentMillis: number): Step<A> {
    this.options.record.noteRetry()
    return this.resettingQueueState(
      Effect.flatMap(this.nextAfter(error), (next) =>
        Effect.flatMap(this.watch.check, () =>
          next === "held"
            ? this.afterHeld(allowMetadata, sentMillis)
            : Effect.flatMap(Effect.sleep(next.delayMillis), () => this.step(allowMetadata))
        )
      )
    )
  }

  private onBody(body: unknown, allowMetadata: boolean, sentMillis: number): Step<A> {
    const decoded = decodedResult<A>(body)
    if (decoded !== undefined) return Effect.succeed({ _tag: "Result", value: decoded.value })
    return this.resettingQueueState(
      Effect.flatMap(
        Effect.andThen(this.report?.ended ?? Effect.void, readResult(this.options, body, allowMetadata)),
        (found) =>
          found._tag === "Pending"
            ? Effect.flatMap(this.watch.check, () => this.afterHeld(allowMetadata, sentMillis))
            : Effect.succeed(found)
      )
    )
  }

  /** Polls again at once if the service held the last poll, and after growing pauses if it responds at once. */
  private afterHeld(allowMetadata: boolean, sentMillis: number): Step<A> {
    return Effect.suspend(() => {
      this.failures = 0
      const heldFor = this.now - sentMillis
      if (heldFor >= heldMillis) {
        this.unheldPolls = 0
        return this.step(allowMetadata)
      }
      return Effect.flatMap(jittered(10, heldMillis, this.unheldPolls++), (delay) =>
        delay > heldFor
          ? Effect.flatMap(Effect.sleep(delay - heldFor), () => this.step(allowMetadata))
          : this.step(allowMetadata)
      )
    })
  }

  private reportRetry(error: TinkerError.TinkerError): Effect.Effect<void> {
    this.report ??= this.client.reportRetries(this.options.queue)
    return this.report.onRetry(error)
  }

  private backOff(error: TinkerError.TinkerError): Effect.Effect<Next> {
    return Effect.suspend(() => this.reportRetry(error)).pipe(
      Effect.andThen(Effect.suspend(() => jittered(failurePause.first, failurePause.cap, this.failures++))),
      Effect.map((delay) => ({
        delayMillis: error.retryAfter === undefined ? delay : Duration.toMillis(error.retryAfter)
      }))
    )
  }

  /** Whether and when to poll again after a failure. */
  private nextAfter(error: TinkerError.TinkerError): Effect.Effect<Next, TinkerError.TinkerError> {
    switch (error._tag) {
      case "TransportError":
        return error.reason === "Timeout"
          ? Effect.as(this.reportRetry(error), "held")
          : error.isRetryable
            ? this.backOff(error)
            : Effect.fail(error)
      case "ServerError":
        return error.status === 408
          ? Effect.as(observeQueueOfText(this.options, error.detail), "held" as const)
          : this.backOff(error)
      case "RateLimited":
        return this.backOff(error)
      case "BadRequest":
        if (error.status !== 400 && !error.isRetryable) return Effect.fail(error)
        // some servers respond with 400 when the operation failed
        return this.backOffIfAmbiguous(
          error,
          operationFailed(this.options, error.detail || "no reason given", undefined, error)
        )
      case "DecodeError":
        // the response may have been garbled on its way; the result can be fetched again
        return this.backOffIfAmbiguous(error, error)
      default:
        return error.isRetryable ? this.backOff(error) : Effect.fail(error)
    }
  }

  private backOffIfAmbiguous(
    error: TinkerError.TinkerError,
    failure: TinkerError.TinkerError
  ): Effect.Effect<Next, TinkerError.TinkerError> {
    if (this.ambiguousFailures >= maxAmbiguousFailures) return Effect.fail(failure)
    this.ambiguousFailures++
    return this.backOff(error)
  }

  /** Resets the state of the client's queue to active once the operation has ended. */
  private resettingQueueState(step: Step<A>): Step<A> {
    const { queue, record } = this.options
    if (this.resetsQueueState || queue === undefined) return step
    this.resetsQueueState = true
    return Effect.withParentSpan(Effect.ensuring(step, queue.observe(QueueState.active)), record.span)
  }
}

/** Waits for a result that the first poll did not bring. @internal */
export const pollUntilDone = <A, I>(
  client: TinkerClient.Service,
  options: Options<A, I>,
  startMillis: number,
  first: Either.Either<unknown, TinkerError.TinkerError>
): Effect.Effect<A, TinkerError.TinkerError> => new PollLoop(client, options, startMillis).after(first)

/** Waits until `completions` reports the operation, and fetches its result. @internal */
export const fetchOnCompletion = <A, I>(
  client: TinkerClient.Service,
  options: Options<A, I>,
  completions: NonNullable<Options<A, I>["completions"]>
): Effect.Effect<A, TinkerError.TinkerError> =>
  Effect.suspend(() => {
    const { requestId, record } = options
    const loop = new PollLoop(client, options, record.clock.unsafeCurrentTimeMillis())
    return Effect.flatMap(completions.wait(requestId, loop.watch), (size) => loop.fetch(size ?? 0)).pipe(
      Effect.ensuring(Effect.sync(() => completions.done(requestId)))
    )
  })
