/** Admits the submissions of samples, and slows them down when the service asks for that. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Budget, Permits } from "./budget.ts"
import type { Releasable } from "../util/releasable.ts"

// after a 429 without a `Retry-After`, a request above this size pauses for longer
const largeBytes = 131_072
const largePauseMillis = 5000
const smallPauseMillis = 1000
// for this long after a pause few samples are submitted at once
const cautionMillis = 10_000
const cautionFactor = 20
const cautiousSubmissions = 10
const submissions = 400

/** Holds the permits of its submission, and must release them. @internal */
export interface SubmissionHolder {
  submission: Releasable | undefined
}

/** The room for submissions of samples, which all samplers of a session share. @internal */
export class SampleThrottle {
  readonly bytes: Budget
  readonly #submissions = Budget.count(submissions)
  readonly #cautious = Budget.count(cautiousSubmissions)
  #pausedUntil = Number.NEGATIVE_INFINITY

  constructor(bytes: number) {
    this.bytes = Budget.bytes(bytes)
  }

  /** No submission holds a permit. */
  get isIdle(): boolean {
    return this.#submissions.balance === submissions && this.#cautious.balance === cautiousSubmissions
  }

  /** The service has never asked for a pause. */
  get isUnthrottled(): boolean {
    return this.#pausedUntil === Number.NEGATIVE_INFINITY
  }

  /** Pauses all submissions: for as long as the service asks, else by the size of the request that it rejected. */
  pause(now: number, bytes: number, retryAfter: Duration.Duration | undefined): void {
    const millis =
      retryAfter !== undefined
        ? Duration.toMillis(retryAfter)
        : bytes <= largeBytes
          ? smallPauseMillis
          : largePauseMillis
    this.#pausedUntil = Math.max(this.#pausedUntil, now + millis)
  }

  /** Waits until no pause is left. */
  readonly resumed: Effect.Effect<void> = Effect.suspend(() =>
    this.isUnthrottled
      ? Effect.void
      : Effect.flatMap(Clock.currentTimeMillis, (now) =>
          now < this.#pausedUntil
            ? Effect.flatMap(Effect.sleep(this.#pausedUntil - now), () => this.resumed)
            : Effect.void
        )
  )

  /** Calls `onAdmitted` once there is room for a submission of that size. It does not wait for a pause to end. */
  acquire(bytes: number, holder: SubmissionHolder, now: number, onAdmitted: () => void): void {
    const permits = new Permits()
    holder.submission = permits
    const isCautious = now - this.#pausedUntil < cautionMillis
    const acquireBytes = () => permits.acquire(this.bytes, isCautious ? bytes * cautionFactor : bytes, onAdmitted)
    permits.acquire(
      this.#submissions,
      1,
      isCautious ? () => permits.acquire(this.#cautious, 1, acquireBytes) : acquireBytes
    )
  }

  /** Waits for any pause to end, and acquires room. If a pause begins meanwhile, waits for its end as well. */
  admission(bytes: number, holder: SubmissionHolder): Effect.Effect<void> {
    return Effect.flatMap(this.resumed, () =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatMap(
          Effect.async<void>((resume) => this.acquire(bytes, holder, now, () => resume(Effect.void))),
          () => this.resumed
        )
      )
    )
  }
}
