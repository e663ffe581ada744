/**
 * Faults between a client and the service, for a `Simulator` to inject, one line each:
 *
 * ```ts
 * Fault.on("forward_backward").nth(3).loseResponse
 * Fault.on("asample").first(20).respond(429, { retryAfter: "2 seconds" })
 * Fault.on("retrieve_future").during("1 minute", "4 minutes").pause("paused_capacity", "a rack is down")
 * Fault.any.chance(0.05).loseRequest
 * ```
 *
 * A selection picks requests; its last member defines the fault. Of several faults that select a request, the first in
 * the list applies. Requests are counted from 1, and each attempt and each poll is a request. Endpoints are named as in
 * the URL, below `/api/v1/`.
 *
 * @since 0.1.0
 */
import type * as Future from "@effect-tinker/api/Future"
import * as Duration from "effect/Duration"
import { type DurationInput, toDuration } from "./internal/util/duration.ts"

/**
 * A request that a client sends.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  /** such as `forward_backward` or `client/config` */
  readonly endpoint: string
  readonly method: string
  readonly headers: { readonly [name: string]: string | undefined }
  /** the parsed JSON; `undefined` if there is none */
  readonly body: unknown
  /** milliseconds since the simulator was made */
  readonly millis: number
}

/**
 * What happens to a request. With `silent`, the client gets no error, and waits until its timeout.
 *
 * @since 0.1.0
 * @category models
 */
export type Action =
  /** it does not reach the service */
  | { readonly _tag: "LoseRequest"; readonly silent: boolean }
  /** the service handles it, and the response does not reach the client */
  | { readonly _tag: "LoseResponse"; readonly silent: boolean }
  /** another response; with `applied`, after the service has handled it */
  | {
      readonly _tag: "Respond"
      readonly status: number
      readonly headers: { readonly [name: string]: string }
      readonly body: string
      readonly applied: boolean
    }
  /** it reaches the service later */
  | { readonly _tag: "Delay"; readonly duration: Duration.Duration }
  /** it reaches the service once more, later */
  | { readonly _tag: "Duplicate"; readonly after: Duration.Duration }
  /** the connection breaks within the body of the response */
  | { readonly _tag: "CutBody" }
  /** the body of the response cannot be decoded */
  | { readonly _tag: "Garble" }
  /** a poll gets "try again" with this state and reason, after `hold` */
  | {
      readonly _tag: "Pause"
      readonly state: NonNullable<Future.TryAgain["queue_state"]>
      readonly reason: string | undefined
      readonly hold: Duration.Duration
    }
  /** the session of the request ends before the request reaches the service */
  | { readonly _tag: "EndSession" }
  /** the process of the service ends while it handles the request, or shortly after, and another one starts */
  | { readonly _tag: "Kill"; readonly after: Duration.Duration; readonly down: Duration.Duration }

/**
 * A fault: which requests, and what happens to them. Each simulator has its own count of requests.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fault {
  /** empty for all endpoints */
  readonly endpoints: ReadonlyArray<string>
  readonly where: ReadonlyArray<(request: Request) => boolean>
  /** milliseconds since the simulator was made, `[from, to)` */
  readonly during: readonly [number, number] | undefined
  /** whether the fault applies to the n-th request that matches all of the above */
  readonly counts: (n: number) => boolean
  /** the probability with which it applies to such a request */
  readonly chance: number
  readonly action: Action
}

/**
 * What a substituted response contains besides its status.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResponseOptions {
  readonly headers?: { readonly [name: string]: string } | undefined
  /** a string unchanged, anything else as JSON; by default JSON with the status in its `detail` */
  readonly body?: unknown
  /** sent as the header `retry-after-ms` */
  readonly retryAfter?: DurationInput | undefined
}

/**
 * The requests that a fault applies to. Some members narrow the selection, the others complete the fault.
 *
 * @since 0.1.0
 * @category models
 */
export interface Selection {
  /** only the n-th, from 1 */
  readonly nth: (n: number) => Selection
  /** the first `n` */
  readonly first: (n: number) => Selection
  /** all from the n-th on */
  readonly from: (n: number) => Selection
  /** every n-th */
  readonly every: (n: number) => Selection
  /** those sent in a span of time, measured from when the simulator was made */
  readonly during: (start: DurationInput, end: DurationInput) => Selection
  /** those for which a predicate is true */
  readonly where: (predicate: (request: Request) => boolean) => Selection
  /** each with this probability, drawn by the seed of the simulator */
  readonly chance: (probability: number) => Selection

  /** The connection breaks before the request reaches the service. */
  readonly loseRequest: Fault
  /** The request does not reach the service, and the client gets no error: it waits until its timeout. */
  readonly swallow: Fault
  /** The service handles the request, then the connection breaks. */
  readonly loseResponse: Fault
  /** The service handles the request, and the client waits for the response until its timeout. */
  readonly silence: Fault
  /** Responds with this status in place of the service. */
  readonly respond: (status: number, options?: ResponseOptions) => Fault
  /** The service handles the request, but the client gets another status, as from a proxy. */
  readonly respondAfter: (status: number, options?: ResponseOptions) => Fault
  /** The request reaches the service later. */
  readonly delay: (duration: DurationInput) => Fault
  /** The request reaches the service a second time, later. */
  readonly duplicate: (after?: DurationInput) => Fault
  /** The connection breaks within the body of the response. */
  readonly cutBody: Fault
  /** The body of the response cannot be decoded. */
  readonly garble: Fault
  /** A poll gets 410: the result has been evicted. */
  readonly expire: Fault
  /** A poll gets "try again" with this state of the queue. The poll takes 20 seconds by default. */
  readonly pause: (state: NonNullable<Future.TryAgain["queue_state"]>, reason?: string, hold?: DurationInput) => Fault
  /** The session ends, as if its heartbeats had been lost. */
  readonly endSession: Fault
  /**
   * The process of the service ends as by SIGKILL, `after` the request was sent. All requests in flight lose their
   * connection. Another process starts when the service was `down` so long; it has what the first one acknowledged.
   */
  readonly kill: (options?: KillOptions) => Fault
}

/**
 * When a process of the service ends, and when the next one starts.
 *
 * @since 0.1.0
 * @category models
 */
export interface KillOptions {
  /** at once */
  readonly after?: DurationInput | undefined
  /** 1 second */
  readonly down?: DurationInput | undefined
}

type Draft = Omit<Fault, "action">

const respond = (applied: boolean, status: number, options: ResponseOptions = {}): Action => {
  const { body = { detail: `simulated ${status}` }, headers = {}, retryAfter } = options
  return {
    _tag: "Respond",
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
  const narrow = (counts: (n: number) => boolean) => select({ ...draft, counts: (n) => draft.counts(n) && counts(n) })
  const complete = (action: Action): Fault => ({ ...draft, action })
  return {
    nth: (k) => narrow((n) => n === k),
    first: (k) => narrow((n) => n <= k),
    from: (k) => narrow((n) => n >= k),
    every: (k) => narrow((n) => n % k === 0),
    during: (start, finish) => select({ ...draft, during: [Duration.toMillis(start), Duration.toMillis(finish)] }),
    where: (predicate) => select({ ...draft, where: [...draft.where, predicate] }),
    chance: (probability) => select({ ...draft, chance: probability }),
    loseRequest: complete({ _tag: "LoseRequest", silent: false }),
    swallow: complete({ _tag: "LoseRequest", silent: true }),
    loseResponse: complete({ _tag: "LoseResponse", silent: false }),
    silence: complete({ _tag: "LoseResponse", silent: true }),
    respond: (status, options) => complete(respond(false, status, options)),
    respondAfter: (status, options) => complete(respond(true, status, options)),
    delay: (duration) => complete({ _tag: "Delay", duration: toDuration(duration) }),
    duplicate: (after = 0) => complete({ _tag: "Duplicate", after: toDuration(after) }),
    cutBody: complete({ _tag: "CutBody" }),
    garble: complete({ _tag: "Garble" }),
    expire: complete(respond(false, 410, { body: { detail: "the result is no longer held" } })),
    pause: (state, reason, hold = "20 seconds") => complete({ _tag: "Pause", state, reason, hold: toDuration(hold) }),
    endSession: complete({ _tag: "EndSession" }),
    kill: ({ after = 0, down = "1 second" } = {}) =>
      complete({ _tag: "Kill", after: toDuration(after), down: toDuration(down) })
  }
}

const allRequests: Draft = { endpoints: [], where: [], during: undefined, counts: () => true, chance: 1 }

/**
 * The requests to these endpoints, such as `forward_backward`, `optim_step`, `asample`, `retrieve_future`.
 *
 * @since 0.1.0
 * @category selections
 */
export const on = (...endpoints: readonly [string, ...Array<string>]): Selection =>
  select({ ...allRequests, endpoints })

/**
 * All requests, heartbeats included.
 *
 * @since 0.1.0
 * @category selections
 */
export const any: Selection = select(allRequests)
