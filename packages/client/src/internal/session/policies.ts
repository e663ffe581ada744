/** The retry policies of a session's background requests. */
import * as RetryPolicy from "../../RetryPolicy.ts"

/** For requests that are repeated soon anyway. @internal */
export const singleAttempt: RetryPolicy.RetryPolicy = {
  ...RetryPolicy.never,
  timeout: "10 seconds",
  billingPause: false
}

/** @internal */
export const cancellation: RetryPolicy.RetryPolicy = { ...singleAttempt, timeout: "30 seconds" }
