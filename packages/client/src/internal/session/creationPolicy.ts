/** The retries of creations: a failure that says that it is permanent, and comes again and again, is final. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as RetryPolicy from "../../RetryPolicy.ts"

// a service may need a moment until it finds what was just saved
const finalAfter = 5

/**
 * What services say of a thing that is not there or that they cannot do. A quoted name alone after `failed:` is how
 * Python writes a missing key.
 */
const permanent =
  /\bnot found\b|\bno such (file|key|model)|\bdoes(n't| not) exist\b|\b(is )?not supported\b|\bunsupported\b|NoSuchKey|FileNotFoundError|KeyError|failed: '[^']+'$/i

const advice =
  `It was tried ${finalAfter} times, and the answer reads as if it would not change: check the path or the name of the ` +
  "model, and that the service has saved what it names."

/** Counts the failures in a row that have the same text and call themselves permanent. */
class Permanence {
  private last: TinkerError.TinkerError | undefined = undefined
  private count = 0

  isFinal(error: TinkerError.TinkerError): boolean {
    // a policy may ask twice about one failure
    if (error === this.last) return this.count >= finalAfter
    if (error._tag !== "ServerError" || error.shouldRetry === true || !permanent.test(error.detail)) {
      this.count = 0
    } else {
      this.count = this.last?._tag === "ServerError" && this.last.detail === error.detail ? this.count + 1 : 1
    }
    this.last = error
    return this.count >= finalAfter
  }
}

/** Sends the request of a creation under the caller's policy, with the exception above. @internal */
export const withCreationPolicy = <A>(
  send: (policy: RetryPolicy.RetryPolicy) => Effect.Effect<A, TinkerError.TinkerError>
): Effect.Effect<A, TinkerError.TinkerError> =>
  Effect.flatMap(RetryPolicy.CurrentRetryPolicy, (policy) => {
    const permanence = new Permanence()
    const isRetryable = (error: TinkerError.TinkerError) =>
      (policy.isRetryable?.(error) ?? error.isRetryable) && !permanence.isFinal(error)
    return Effect.mapError(send({ ...policy, isRetryable }), (error) =>
      error._tag === "ServerError" && permanence.isFinal(error)
        ? new TinkerError.ServerError({ ...error, advice, shouldRetry: false })
        : error
    )
  })
