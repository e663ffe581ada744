/** Keeps account of the gradient that the service holds, so that no step is applied without a part of it. */
import * as TinkerError from "@effect-tinker/api/TinkerError"

/**
 * What an operation does to the model: `reads` leaves it as it is, `gradient` adds to the gradient, `step` applies and
 * clears it, `load` replaces the weights.
 *
 * @internal
 */
export type Role = "reads" | "gradient" | "step" | "load"

/** An operation that failed for certain. @internal */
export interface Failed {
  readonly operation: string
  readonly seqId: number
  readonly cause: unknown
}

/** What a failed operation means for those behind it, until the program has seen it. @internal */
export interface Refusal extends Failed {
  readonly reason: TinkerError.StepRefused["reason"]
  /** the era that began when the program saw it */
  seenIn: number | undefined
}

/** An operation that is about to be sent. */
interface Next {
  readonly method: string
  readonly role: Role
  /** the era in which it was called */
  readonly era: number
}

/** Why an operation is not sent. `refusal` is absent if it is not to be seen. @internal */
export interface NotSent {
  readonly error: TinkerError.StepRefused | TinkerError.PartialGradient
  readonly refusal?: Refusal | undefined
}

/**
 * A step is what is called up to and including an `optimStep`. If a forward/backward pass of it is refused, the rest of the
 * step is not sent; if something of it was accepted before, no gradient can be trusted again. An operation that is called
 * after the program has seen the refusal, which begins an era, is a new step.
 *
 * @internal
 */
export class Steps {
  era = 0
  private holdsGradient = false
  private refusal: Refusal | undefined
  private partial: Failed | undefined

  /** Why the next operation must not be sent; `undefined` if it may. */
  admit(next: Next): NotSent | undefined {
    const { partial, refusal } = this
    if (partial !== undefined && (next.role === "gradient" || next.role === "step")) {
      return { error: new TinkerError.PartialGradient({ method: next.method, ...partial }) }
    }
    if (refusal === undefined || this.mayPass(refusal, next)) return undefined
    const { cause, operation, reason, seqId } = refusal
    // a step that waits behind this pass lacks its gradient, although the program may have seen the rejection before
    if (reason === "GradientWaits" && next.role === "gradient") this.refusal = { ...refusal, seenIn: undefined }
    return {
      refusal: this.refusal,
      error: new TinkerError.StepRefused({ method: next.method, operation, seqId, reason, cause })
    }
  }

  noteAccepted(role: Role): void {
    if (role === "reads") return
    this.holdsGradient = role === "gradient"
    // a load clears the gradient too
    if (role !== "gradient" && this.refusal?.reason === "GradientWaits") this.refusal = undefined
  }

  /** Notes an operation that failed for certain. `isPartial`: the service accepted a part of its gradient. */
  noteFailed(role: Role, failed: Failed, isPartial: boolean): Refusal | undefined {
    if (role === "reads" || (role === "step" && !this.holdsGradient)) return undefined
    if (role === "gradient" && (isPartial || this.holdsGradient)) {
      this.notePartial(failed)
      return undefined
    }
    const reason = role === "gradient" ? "NoGradient" : role === "step" ? "GradientWaits" : "NotLoaded"
    this.refusal = { ...failed, reason, seenIn: undefined }
    return this.refusal
  }

  /** The service holds a part of a gradient that is not to be applied, and does not drop it. */
  notePartial(failed: Failed): void {
    this.partial ??= failed
  }

  /** A step was dropped of which the service holds nothing. */
  noteDropped(): void {
    this.holdsGradient = false
  }

  /** The program has seen a refusal: what it calls from now on, it calls knowing that. */
  noteSeen(refusal: Refusal): void {
    refusal.seenIn ??= ++this.era
  }

  /** Whether an operation may pass a refusal; ends the refused step where the operation does. */
  private mayPass(refusal: Refusal, { era, role }: Next): boolean {
    const isBehind = refusal.seenIn === undefined || era < refusal.seenIn
    if (refusal.reason === "NotLoaded") {
      if (!isBehind) this.refusal = undefined
      return !isBehind
    }
    if (role === "reads" || role === "load") return true
    if (refusal.reason === "GradientWaits") return role === "step" && !isBehind
    if (role === "step" || !isBehind) this.refusal = undefined
    return !isBehind
  }
}
