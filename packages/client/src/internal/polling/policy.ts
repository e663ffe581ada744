/** When a poll is repeated, and how often one that may have failed is. */
import * as RetryPolicy from "../../RetryPolicy.ts"

/** One poll. The service holds it for as long as it likes, but for less than this timeout. @internal */
export const pollPolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "45 seconds" }

/** How many responses that may be a failure or a garbled result are polled again. @internal */
export const maxAmbiguousFailures = 3

/** A poll that the service held for at least this long is repeated at once; milliseconds. @internal */
export const heldMillis = 1000

/** The pauses after failed polls double between these; milliseconds. @internal */
export const failurePause = { first: 1000, cap: 30_000 } as const
