import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

const quietMillis = 300_000
const logEveryMillis = 60_000

/** @internal */
export interface Billing {
  /** Whether to wait after this 402, rather than to fail with it. */
  readonly mayPause: (error: TinkerError.PaymentRequired) => Effect.Effect<boolean>
}

/**
 * One account's 402s: they are waited out for so many seconds since the first of them, which is forgotten after five
 * minutes without one.
 *
 * @internal
 */
export const make = (maxPauseSeconds: () => number): Billing => {
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
        yield* Effect.logWarning(`paused until the account can pay again, or is given up: ${error.message}`)
      }
      return true
    })
  }
}
