/**
 * Faults that happen at random, for a `Simulator` whose seed decides when and to which requests.
 *
 * @since 0.1.0
 */
import type { DurationInput } from "./internal/util/duration.ts"

/**
 * `serverError` is a 5xx, before or after the service handled the request. `burst` is a 5xx to all requests of the next
 * seconds. `tooMany` is a 429, `timeout` a 408, `emptyBadRequest` a 400 without a body. `refusal` is a 401, 403, 413 or 422
 * to an operation of a model, which the service does not get to see. `kill` ends the process of the service, in the midst
 * of what it does. The others are named as in `Fault`.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind =
  | "loseRequest"
  | "swallow"
  | "loseResponse"
  | "silence"
  | "serverError"
  | "burst"
  | "tooMany"
  | "timeout"
  | "emptyBadRequest"
  | "refusal"
  | "duplicate"
  | "delay"
  | "cutBody"
  | "garble"
  | "expire"
  | "pause"
  | "endSession"
  | "kill"

/**
 * @since 0.1.0
 * @category models
 */
export interface Weather {
  /** the probability of a fault for each request */
  readonly rate: number
  /** the relative frequency of each kind of fault */
  readonly kinds: { readonly [K in Kind]?: number }
  /** the shortest and the longest time that a request takes, and its response */
  readonly latency: readonly [DurationInput, DurationInput]
}

/**
 * No faults and no latency.
 *
 * @since 0.1.0
 * @category constants
 */
export const fair: Weather = { rate: 0, kinds: {}, latency: [0, 0] }

/**
 * One request in ten has a transient fault: a program that retries loses nothing but time.
 *
 * @since 0.1.0
 * @category constants
 */
export const badDay: Weather = {
  rate: 0.1,
  kinds: {
    loseRequest: 4,
    swallow: 1,
    loseResponse: 4,
    silence: 1,
    serverError: 4,
    burst: 1,
    tooMany: 3,
    timeout: 2,
    emptyBadRequest: 1,
    duplicate: 3,
    delay: 3,
    cutBody: 2,
    pause: 2
  },
  latency: ["1 millis", "250 millis"]
}

/**
 * A bad day on which results expire, responses cannot be decoded, and sessions end: a program must expect errors.
 *
 * @since 0.1.0
 * @category constants
 */
export const disaster: Weather = {
  ...badDay,
  rate: 0.2,
  kinds: { ...badDay.kinds, garble: 1, expire: 1, endSession: 0.2 }
}
