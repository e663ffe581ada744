/** Remembers the request that broke a training client, and which sequence numbers are in doubt. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"

/**
 * A client is broken when it is not known whether the service received a request: what follows would run on an unknown
 * state. Operations that read the model can go on with a number that is in doubt: the service has either not used it, or
 * rejects it.
 *
 * @internal
 */
export class Breakage {
  #first: { readonly operation: string; readonly seqId: number; readonly cause: unknown } | undefined = undefined
  #isDefect = false
  readonly #doubtful = new Set<number>()

  get isBroken(): boolean {
    return this.#first !== undefined
  }

  /** Whether operations that read the model are still sent: not after a defect, which may be anywhere. */
  get allowsReads(): boolean {
    return !this.#isDefect
  }

  /** The lowest number of which it is not known whether the service has used it. */
  get doubtful(): number | undefined {
    return this.#doubtful.size === 0 ? undefined : Math.min(...this.#doubtful)
  }

  /** Records a request that may or may not have been accepted. */
  record(method: string, seqId: number, cause: Cause.Cause<TinkerError.TinkerError>): void {
    this.#isDefect ||= Cause.isDie(cause)
    this.#first ??= { operation: method, seqId, cause: Cause.squash(cause) }
    this.addDoubtful(seqId)
  }

  addDoubtful(seqId: number): void {
    this.#doubtful.add(seqId)
  }

  /** The service has used the number. */
  settle(seqId: number): void {
    this.#doubtful.delete(seqId)
  }

  /** The error of an operation that is not submitted because the client is broken, or its model was lost. */
  errorFor(method: string): TinkerError.ClientBroken | TinkerError.ModelLost {
    const { cause } = this.#first!
    return cause instanceof TinkerError.ModelLost
      ? new TinkerError.ModelLost({ ...cause, method })
      : new TinkerError.ClientBroken({ method, ...this.#first! })
  }

  /** What a state that is saved now may lack, for the log. */
  get description(): string {
    const { operation, seqId } = this.#first!
    return `${operation} (seq_id ${seqId})`
  }
}
