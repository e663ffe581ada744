/** Remembers the request that broke a training client. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"

/** The service rejected the request, as opposed to a response that was lost. */
const isRejected = (error: TinkerError.TinkerError) => "status" in error && error.status < 500 && !error.isRetryable

/**
 * A client is broken when the service may or may not have received a request that changes the model: what follows would
 * run on an unknown state, or wait for a sequence number that never comes.
 *
 * @internal
 */
export class Breakage {
  #first: { readonly operation: string; readonly seqId: number; readonly cause: unknown } | undefined = undefined

  get isBroken(): boolean {
    return this.#first !== undefined
  }

  /** Records a failed request, unless the model is the same as if it had not been sent. */
  record(
    operation: { readonly method: string; readonly changesTraining: boolean },
    seqId: number,
    cause: Cause.Cause<TinkerError.TinkerError>
  ): void {
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    if (failure !== undefined && !operation.changesTraining && isRejected(failure)) return
    this.#first ??= { operation: operation.method, seqId, cause: failure ?? Cause.squash(cause) }
  }

  /** The error of an operation that is not submitted because the client is broken. */
  errorFor(method: string): TinkerError.ClientBroken {
    return new TinkerError.ClientBroken({ method, ...this.#first! })
  }
}
