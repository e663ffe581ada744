/** How long requests pause and retry after a 402 (payment required). */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

const quietMillis = 300_000
const logEveryMillis = 60_000

/** @internal */
export interface PaymentPause {
  /** Whether to retry after this 402, rather than to fail with it. */
  readonly mayPause: (error: TinkerError.PaymentRequired) => Effect.Effect<boolean>
}

/**
 * Requests retry until `maxPauseSeconds` have passed since the first 402 of an incident. An incident ends after five
 * minutes without a 402.
 *
 * @internal
 */
export const make = (maxPauseSeconds: () => number): PaymentPause => {
  let since: number | undefined
  let last = 0
  let logged = Number.NEGATIVE_INFINITY
  return {
    mayPause: Effect.fnUntraced(function* (error) {
      const now = yield* Clock.currentTimeMillis
      if (since === undefined || now - last > quietMillis) {
        since = now
        logged = Number.NEGATIVE_INFINITY
      }
      last = now
      if (now - since > maxPauseSeconds() * 1000) return false
      if (now - logged >= logEveryMillis) {
        logged = now
        yield* Effect.logWarning(`paused until the account has credit again: ${error.message}`)
      }
      return true
    })
  }
}
