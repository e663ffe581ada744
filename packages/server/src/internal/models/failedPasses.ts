/** Keeps account of the passes of a step that failed when they ran, so that no step is taken without a part of its gradient. */
import * as Effect from "effect/Effect"
import * as Engine from "../../Engine.ts"

// more than clients have in flight
const maxSeen = 4000

/** The error of a step that is not taken. */
const notTaken = (seqId: number, reason: string): Engine.EngineError =>
  new Engine.EngineError({
    reason:
      `no step was taken: forward_backward with seq_id ${seqId} failed, so a part of the gradient is missing. What the ` +
      `other passes added was dropped: run all passes of the step again, and then optim_step. The pass failed with: ${reason}`,
    category: "user"
  })

/**
 * A client that pipelines calls `optim_step` before it can know that a pass failed. Such a step is not taken, and the whole
 * gradient is dropped, so that the next step begins without one. A client whose program has seen the failure names the pass
 * among the numbers that it has given up: then the step is taken with what there is.
 *
 * @internal
 */
export class FailedPasses {
  private readonly reasons = new Map<number, string>()
  private readonly seen = new Set<number>()

  /** Notes the passes that the program knows to have failed. */
  noteSeen(seqIds: ReadonlyArray<number>): void {
    for (const seqId of seqIds) {
      this.reasons.delete(seqId)
      if (this.seen.size < maxSeen) this.seen.add(seqId)
    }
  }

  /** Forgets all: a step was taken, or a state was loaded. */
  clear(): void {
    this.reasons.clear()
    this.seen.clear()
  }

  /** Notes the failure of a pass, and also its interruption. */
  watch<A>(
    seqId: number,
    pass: Effect.Effect<A, Engine.EngineError>
  ): Effect.Effect<A, Engine.EngineError> {
    const note = (reason: string) =>
      Effect.sync(() => {
        if (!this.seen.has(seqId)) this.reasons.set(seqId, reason)
      })
    return pass.pipe(
      Effect.onError((cause) =>
        note(cause._tag === "Fail" ? cause.error.message : "it was interrupted, or the service failed")
      )
    )
  }

  /** Takes a step, unless a pass of it failed. */
  guard<A>(
    model: Engine.EngineModel,
    step: Effect.Effect<A, Engine.EngineError>
  ): Effect.Effect<A, Engine.EngineError> {
    return Effect.suspend(() => {
      for (const [seqId, reason] of this.reasons) {
        return Effect.andThen(this.dropGradient(model), notTaken(seqId, reason))
      }
      return Effect.tap(step, () => Effect.sync(() => this.clear()))
    })
  }

  /** Loads what the model has, which clears the gradient. */
  private dropGradient(model: Engine.EngineModel): Effect.Effect<void, Engine.EngineError> {
    return Effect.zipWith(model.adapter, model.optimizer, (adapter, optimizer) => model.load(adapter, optimizer)).pipe(
      Effect.flatten,
      Effect.tap(() => Effect.sync(() => this.clear()))
    )
  }
}
