/**
 * What may go wrong between a client and the service, said in one line each, for a `Simulator` to do:
 *
 * ```ts
 * Fault.on("forward_backward").nth(3).loseAnswer
 * Fault.on("asample").first(20).answer(429, { retryAfter: "2 seconds" })
 * Fault.on("retrieve_future").during("1 minute", "4 minutes").pause("paused_capacity", "a rack is down")
 * Fault.any.chance(0.05).loseRequest
 * ```
 *
 * A selection says which requests, its last word what becomes of them. Of several faults that select a request, the
 * first in the list acts. Requests count from 1, attempts and repeated polls each for themselves; endpoints are named as
 * in the URL, below `/api/v1/`.
 *
 * @since 0.1.0
 */
import type * as Future from "@effect-tinker/api/Future"
import * as Duration from "effect/Duration"

/**
 * A request on its way.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  /** such as `forward_backward` or `client/config` */
  readonly endpoint: string
  readonly method: string
  readonly headers: { readonly [name: string]: string | undefined }
  /** the parsed JSON; `undefined` where there is none */
  readonly body: unknown
  /** milliseconds since the simulator was made */
  readonly millis: number
}

/**
 * What becomes of a request.
 *
 * @since 0.1.0
 * @category models
 */
export type Action =
  /** it does not reach the service; the client is told so, or waits in vain */
  | { readonly _tag: "LoseRequest"; readonly silent: boolean }
  /** the service does its work, and its answer does not reach the client */
  | { readonly _tag: "LoseAnswer"; readonly silent: boolean }
  /** another answer, with or without the service's work */
  | {
      readonly _tag: "Answer"
      readonly status: number
      readonly headers: { readonly [name: string]: string }
      readonly body: string
      readonly applied: boolean
    }
  /** it comes later */
  | { readonly _tag: "Delay"; readonly duration: Duration.Duration }
  /** it arrives once more, later */
  | { readonly _tag: "Duplicate"; readonly after: Duration.Duration }
  /** the connection breaks within the body of the answer */
  | { readonly _tag: "CutBody" }
  /** the body of the answer cannot be read as what it claims to be */
  | { readonly _tag: "Garble" }
  /** the answer to a poll: not yet, for this reason, after so long */
  | {
      readonly _tag: "Pause"
      readonly state: NonNullable<Future.TryAgain["queue_state"]>
      readonly reason: string | undefined
      readonly hold: Duration.Duration
    }
  /** the session of the request ends before the service looks at the request */
  | { readonly _tag: "EndSession" }

/**
 * A fault: which requests, and what becomes of them. A simulator counts for itself what it selects.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fault {
  /** no endpoints means all */
  readonly endpoints: ReadonlyArray<string>
  readonly where: ReadonlyArray<(request: Request) => boolean>
  /** milliseconds since the simulator was made, from the first up to the second */
  readonly during: readonly [number, number] | undefined
  /** whether the fault takes the n-th of the requests that all of the above selects */
  readonly counts: (n: number) => boolean
  /** the probability with which it takes one of those */
  readonly chance: number
  readonly action: Action
}

/**
 * How an answer in place of the service's differs from a plain one.
 *
 * @since 0.1.0
 * @category models
 */
export interface AnswerOptions {
  readonly headers?: { readonly [name: string]: string } | undefined
  /** JSON, or the text of the body as it is; says the status by default */
  readonly body?: unknown
  /** asks the client to wait so long, by `retry-after-ms` */
  readonly retryAfter?: Duration.DurationInput | undefined
}

/**
 * Requests that a fault takes. Each method narrows it, or ends it with what happens.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selection {
  /** the n-th alone, from 1 */
  readonly nth: (n: number) => Selection
  /** the first `n` */
  readonly first: (n: number) => Selection
  /** all from the n-th on */
  readonly from: (n: number) => Selection
  /** each n-th */
  readonly every: (n: number) => Selection
  /** those that arrive in a span of time, counted from when the simulator was made */
  readonly during: (start: Duration.DurationInput, end: Duration.DurationInput) => Selection
  /** those that a predicate accepts */
  readonly where: (predicate: (request: Request) => boolean) => Selection
  /** each with a probability, by the simulator's seed */
  readonly chance: (probability: number) => Selection

  /** It does not reach the service: the connection breaks. */
  readonly loseRequest: Fault
  /** It does not reach the service, and nothing says so: the client waits until it gives up. */
  readonly swallow: Fault
  /** The service does its work; then the connection breaks. */
  readonly loseAnswer: Fault
  /** The service does its work and the client waits for an answer until it gives up. */
  readonly silence: Fault
  /** Another status in place of the service's work. */
  readonly answer: (status: number, options?: AnswerOptions) => Fault
  /** The service does its work; then something between answers with another status. */
  readonly answerAfter: (status: number, options?: AnswerOptions) => Fault
  readonly delay: (duration: Duration.DurationInput) => Fault
  /** It arrives twice, the second time after so long. */
  readonly duplicate: (after?: Duration.DurationInput) => Fault
  readonly cutBody: Fault
  readonly garble: Fault
  /** The result of a future is no longer held: 410. */
  readonly expire: Fault
  /** The answer to a poll: the queue is in this state. The poll is held for 20 s by default. */
  readonly pause: (
    state: NonNullable<Future.TryAgain["queue_state"]>,
    reason?: string,
    hold?: Duration.DurationInput
  ) => Fault
  /** The session ends, as if its heartbeats had not been heard. */
  readonly endSession: Fault
}

type Draft = Omit<Fault, "action">

const answering = (applied: boolean, status: number, options: AnswerOptions = {}): Action => {
  const { body = { detail: `simulated ${status}` }, headers = {}, retryAfter } = options
  return {
    _tag: "Answer",
    status,
    headers: {
      "content-type": typeof body === "string" ? "text/plain" : "application/json",
      ...(retryAfter === undefined ? {} : { "retry-after-ms": String(Duration.toMillis(retryAfter)) }),
      ...headers
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
    applied
  }
}

const select = (draft: Draft): Selection => {
  const take = (counts: (n: number) => boolean) => select({ ...draft, counts: (n) => draft.counts(n) && counts(n) })
  const end = (action: Action): Fault => ({ ...draft, action })
  return {
    nth: (k) => take((n) => n === k),
    first: (k) => take((n) => n <= k),
    from: (k) => take((n) => n >= k),
    every: (k) => take((n) => n % k === 0),
    during: (start, finish) => select({ ...draft, during: [Duration.toMillis(start), Duration.toMillis(finish)] }),
    where: (predicate) => select({ ...draft, where: [...draft.where, predicate] }),
    chance: (probability) => select({ ...draft, chance: probability }),
    loseRequest: end({ _tag: "LoseRequest", silent: false }),
    swallow: end({ _tag: "LoseRequest", silent: true }),
    loseAnswer: end({ _tag: "LoseAnswer", silent: false }),
    silence: end({ _tag: "LoseAnswer", silent: true }),
    answer: (status, options) => end(answering(false, status, options)),
    answerAfter: (status, options) => end(answering(true, status, options)),
    delay: (duration) => end({ _tag: "Delay", duration: Duration.decode(duration) }),
    duplicate: (after = 0) => end({ _tag: "Duplicate", after: Duration.decode(after) }),
    cutBody: end({ _tag: "CutBody" }),
    garble: end({ _tag: "Garble" }),
    expire: end(answering(false, 410, { body: { detail: "the result is no longer held" } })),
    pause: (state, reason, hold = "20 seconds") => end({ _tag: "Pause", state, reason, hold: Duration.decode(hold) }),
    endSession: end({ _tag: "EndSession" })
  }
}

const everything: Draft = { endpoints: [], where: [], during: undefined, counts: () => true, chance: 1 }

/**
 * The requests to some endpoints, such as `forward_backward`, `optim_step`, `asample`, `retrieve_future`.
 *
 * @since 0.1.0
 * @category selections
 */
export const on = (...endpoints: readonly [string, ...Array<string>]): Selection => select({ ...everything, endpoints })

/**
 * All requests, heartbeats too.
 *
 * @since 0.1.0
 * @category selections
 */
export const any: Selection = select(everything)
