import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Session from "../Session.ts"
import { Budget } from "./budget.ts"

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

  constructor(bytes: number) {
    this.#bytes = Budget.bytes(bytes)
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

  /** Submits once there is room and no pause. */
  submit<A, E, R>(bytes: number, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    // whoever stood in line meanwhile may have been told to pause
    const patient = Effect.suspend(() => (this.#isFree ? self : Effect.zipRight(this.#waitOut, self)))
    const submitted = (careful: boolean) =>
      careful
        ? Budget.withCosts([
            [this.#submissions, 1],
            [this.#careful, 1],
            [this.#bytes, bytes * careFactor]
          ])(patient)
        : Budget.withCosts([
            [this.#submissions, 1],
            [this.#bytes, bytes]
          ])(patient)
    return Effect.suspend(() =>
      this.#isFree ? submitted(false) : Effect.flatMap(Effect.zipRight(this.#waitOut, this.#careIsDue), submitted)
    )
  }

  /** the service never asked for less */
  get #isFree() {
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
