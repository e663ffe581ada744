import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Session from "../../Session.ts"
import { Budget, Pass } from "./budget.ts"
import type { Held } from "../transport/exchange.ts"

// a request above this pauses for longer when the service has too much to do
const largeBytes = 131_072
const largePauseMillis = 5000
const smallPauseMillis = 1000
// for so long after a pause the service is treated with care
const careMillis = 10_000
const careFactor = 20
const carefulSubmissions = 10
const submissions = 400

/**
 * What may be under way at once between one session and its service. All clients of the session share it, and no other
 * session does.
 *
 * @internal
 */
export interface Limits {
  /** bytes of passes that are being submitted */
  readonly passes: Budget
  /** bytes of large results that are being fetched */
  readonly responses: Budget
  /** samples of one sampling session from submission to result */
  readonly maxSamples: number
  readonly samples: Throttle
}

/** The service's wish for less, which all samplers of a session heed. @internal */
export class Throttle {
  readonly #bytes: Budget
  readonly #submissions = Budget.count(submissions)
  readonly #careful = Budget.count(carefulSubmissions)
  #until = Number.NEGATIVE_INFINITY

  // in this order
  readonly #freely: ReadonlyArray<Budget>
  readonly #carefully: ReadonlyArray<Budget>

  constructor(bytes: number) {
    this.#bytes = Budget.bytes(bytes)
    this.#freely = [this.#submissions, this.#bytes]
    this.#carefully = [this.#submissions, this.#careful, this.#bytes]
  }

  get idle(): boolean {
    return this.#submissions.balance === submissions && this.#careful.balance === carefulSubmissions
  }

  get bytes(): Budget {
    return this.#bytes
  }

  /** Nothing is submitted for a while: as long as the service asks for, or by the size of what it refused. */
  pause(now: number, bytes: number, retryAfter: Duration.Duration | undefined) {
    const millis =
      retryAfter !== undefined
        ? Duration.toMillis(retryAfter)
        : bytes <= largeBytes
          ? smallPauseMillis
          : largePauseMillis
    this.#until = Math.max(this.#until, now + millis)
  }

  readonly #waitOut: Effect.Effect<void> = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    now < this.#until ? Effect.zipRight(Effect.sleep(this.#until - now), this.#waitOut) : Effect.void
  )

  readonly #careIsDue = Effect.map(Clock.currentTimeMillis, (now) => now - this.#until < careMillis)

  /**
   * Enters when there is room and no pause; what is to be waited for until then, if anything is. `holder` gets what must be
   * left.
   */
  enter(bytes: number, holder: { submission: Held | undefined }): Effect.Effect<void> | undefined {
    return this.isFree
      ? this.#through(this.#begin(holder), this.#freely, bytes, 0)
      : Effect.flatMap(Effect.zipRight(this.#waitOut, this.#careIsDue), (careful) => {
          const pass = this.#begin(holder)
          return (
            (careful
              ? this.#through(pass, this.#carefully, bytes * careFactor, 0)
              : this.#through(pass, this.#freely, bytes, 0)) ?? this.goAhead
          )
        })
  }

  /** Enters a service that never asked for less, and calls when it has. */
  enterThen(bytes: number, holder: { submission: Held | undefined }, then: () => void): void {
    this.#step(this.#begin(holder), bytes, 0, then)
  }

  #begin(holder: { submission: Held | undefined }): Pass {
    const pass = new Pass()
    holder.submission = pass
    return pass
  }

  /** Enters from one budget on, up to the first before which one has to wait. */
  #advance(pass: Pass, budgets: ReadonlyArray<Budget>, bytes: number, from: number) {
    for (let i = from; i < budgets.length; i++) {
      const budget = budgets[i]!
      const waiting = pass.enter(budget, budget === this.#bytes ? bytes : 1)
      if (waiting !== undefined) return { waiting, next: i + 1 }
    }
    return undefined
  }

  #through(pass: Pass, budgets: ReadonlyArray<Budget>, bytes: number, from: number): Effect.Effect<void> | undefined {
    const stop = this.#advance(pass, budgets, bytes, from)
    return stop === undefined
      ? undefined
      : Effect.flatMap(stop.waiting.admission(), () => this.#through(pass, budgets, bytes, stop.next) ?? this.goAhead)
  }

  #step(pass: Pass, bytes: number, from: number, then: () => void): void {
    const stop = this.#advance(pass, this.#freely, bytes, from)
    if (stop === undefined) then()
    else stop.waiting.admit = () => this.#step(pass, bytes, stop.next, then)
  }

  /** Whoever stood in line may have been told to pause meanwhile. */
  readonly goAhead = Effect.suspend(() => (this.isFree ? Effect.void : this.#waitOut))

  /** the service never asked for less */
  get isFree(): boolean {
    return this.#until === Number.NEGATIVE_INFINITY
  }
}

const make = ({ clientConfig }: Session.Service): Limits => ({
  passes: Budget.bytes(clientConfig.fwdbwd_dispatch_bytes_semaphore_size),
  responses: Budget.bytes(clientConfig.inflight_response_bytes_semaphore_size),
  maxSamples: clientConfig.sample_max_concurrent_requests,
  samples: new Throttle(clientConfig.sample_dispatch_bytes_semaphore_size)
})

const known = new WeakMap<Session.Service, Limits>()

/** The limits of a session, which live as long as it does. @internal */
export const of = (session: Session.Service): Limits => {
  let limits = known.get(session)
  if (limits === undefined) {
    limits = make(session)
    known.set(session, limits)
  }
  return limits
}
