/** The timing of polls, and how many ambiguous failures are tolerated. */
import * as RetryPolicy from "../../RetryPolicy.ts"

/** One poll, which the service must not hold for as long as this timeout. @internal */
export const pollPolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "45 seconds" }

/** How many ambiguous failures are polled again: responses that may be a failure or a garbled result. @internal */
export const maxAmbiguousFailures = 3

/** A poll that the service held for at least this long is repeated at once; milliseconds. @internal */
export const heldMillis = 1000

/** The pauses after failed polls double between these; milliseconds. @internal */
export const failurePause = { first: 1000, cap: 30_000 } as const
