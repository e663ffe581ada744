/** When a failed request to the hub is sent again. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { HubError } from "./model.ts"

/** The attempts of a request, and their timeouts. @internal */
export interface RetryLimits {
  readonly attempts: number
  /** the longest time without a byte of the response, in milliseconds */
  readonly idleMillis: number
  /** the longest time that an attempt may take, in milliseconds; no bound by default */
  readonly duration?: number
}

/** The longest wait that the hub may ask for, in seconds. If it asks for a longer one, the request fails at once. */
const longestWait = 60

/** A 403 that is not the hub's may be one of a storage host, for a signature that the next redirect renews. */
const isTransientStatus = (status: number): boolean => status >= 500 || [403, 408, 429].includes(status)

const isTransient = ({ reason, status = 500 }: HubError): boolean =>
  reason === "Corrupt" || (reason === "Unreachable" && isTransientStatus(status))

/** The delay before the next attempt in milliseconds. */
const delay = ({ retryAfter }: HubError, failures: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) => {
    const backoff = 500 * 2 ** (failures - 1) * (0.8 + 0.4 * random)
    return Math.max(backoff, (retryAfter ?? 0) * 1000)
  })

/** Runs a request until it succeeds, fails permanently, or has used up its attempts. @internal */
export const retry = <A, R>(
  request: Effect.Effect<A, HubError, R>,
  attempts: number,
  failures = 1
): Effect.Effect<A, HubError, R> =>
  Effect.catchAll(request, (error) => {
    const mayRetry = isTransient(error) && failures < attempts && (error.retryAfter ?? 0) <= longestWait
    if (!mayRetry) return Effect.fail(error)
    return delay(error, failures).pipe(
      Effect.flatMap(Effect.sleep),
      Effect.flatMap(() => retry(request, attempts, failures + 1))
    )
  })
