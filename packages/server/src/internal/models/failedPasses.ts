/** Keeps account of the passes and steps that failed, so that no step is taken without a part of its gradient, or with another's. */
import * as Effect from "effect/Effect"
import * as Engine from "../../Engine.ts"

// more than clients have in flight
const maxKept = 4000

/** The error of a step that is not taken. */
const notTaken = (what: string, reason: string): Engine.EngineError =>
  new Engine.EngineError({
    reason:
      `no step was taken: ${what}, so a part of the gradient is missing. What the other passes added was dropped: run all ` +
      `passes of the step again, and then optim_step. It failed with: ${reason}`,
    category: "user"
  })

const noGradient = (seqId: number): Engine.EngineError =>
  new Engine.EngineError({
    reason:
      `no step was taken: optim_step with seq_id ${seqId} failed, and its gradient was dropped. Run the passes of the step ` +
      "again, and then optim_step",
    category: "user"
  })

/**
 * A client that pipelines calls `optim_step` before it can know that a pass failed. Such a step is not taken, and the whole
 * gradient is dropped, so that the next step begins without one. A client whose program has seen the failure names the pass
 * among the numbers that it has given up: then the step is taken with what there is.
 *
 * A pass fails when it runs, or is lost behind a `seq_id` that did not arrive; that one may have been a pass as well. Of an
 * `optim_step` that fails, or is lost, nobody may get the gradient: it is dropped before the next pass, and an `optim_step`
 * without a pass before it fails.
 *
 * @internal
 */
export class FailedPasses {
  private readonly reasons = new Map<number, { readonly what: string; readonly reason: string }>()
  private readonly seen = new Set<number>()
  /** an `optim_step` that failed, and whose gradient the model still has */
  private failedStep: number | undefined = undefined
  /** a pass has run since the gradient was cleared */
  private mayHoldGradient = false

  /** Notes the passes that the program knows to have failed. */
  noteSeen(seqIds: ReadonlyArray<number>): void {
    for (const seqId of seqIds) {
      this.reasons.delete(seqId)
      if (this.seen.size < maxKept) this.seen.add(seqId)
    }
  }

  /** Notes a pass that failed, or will never run. */
  noteFailed(seqId: number, reason: string): void {
    this.note(seqId, `forward_backward with seq_id ${seqId} failed`, reason)
  }

  /** Notes a `seq_id` that did not arrive. */
  noteMissing(seqId: number, reason: string): void {
    this.note(seqId, `seq_id ${seqId} did not arrive, and may have been a forward_backward`, reason)
  }

  /** Notes a step that failed, or will never run: what failed before it belonged to it. */
  noteStepFailed(seqId: number): void {
    this.reasons.clear()
    this.failedStep = seqId
  }

  /** Forgets all: a step was taken, or a state was loaded. */
  clear(): void {
    this.reasons.clear()
    this.seen.clear()
    this.failedStep = undefined
    this.mayHoldGradient = false
  }

  /** Runs a pass without the gradient of a step that failed, and notes its failure, and also its interruption. */
  watch<A>(
    model: Engine.EngineModel,
    seqId: number,
    pass: Effect.Effect<A, Engine.EngineError>
  ): Effect.Effect<A, Engine.EngineError> {
    const counted = Effect.suspend(() => {
      this.mayHoldGradient = true
      return pass
    })
    const run = Effect.suspend(() =>
      this.failedStep === undefined ? counted : Effect.andThen(this.dropGradient(model), counted)
    )
    return Effect.onError(run, (cause) =>
      Effect.sync(() =>
        this.noteFailed(
          seqId,
          cause._tag === "Fail" ? cause.error.message : "it was interrupted, or the service failed"
        )
      )
    )
  }

  /** Takes a step, unless a pass of it failed. */
  guard<A>(
    model: Engine.EngineModel,
    seqId: number,
    step: Effect.Effect<A, Engine.EngineError>
  ): Effect.Effect<A, Engine.EngineError> {
    return Effect.suspend(() => {
      const { failedStep } = this
      if (failedStep !== undefined) return Effect.andThen(this.dropGradient(model), noGradient(failedStep))
      for (const { reason, what } of this.reasons.values()) {
        return Effect.andThen(this.dropGradient(model), notTaken(what, reason))
      }
      return step.pipe(
        Effect.tap(() => Effect.sync(() => this.clear())),
        Effect.onError(() => Effect.sync(() => this.noteStepFailed(seqId)))
      )
    })
  }

  private note(seqId: number, what: string, reason: string): void {
    if (!this.seen.has(seqId) && this.reasons.size < maxKept) this.reasons.set(seqId, { what, reason })
  }

  /** Loads what the model has, which clears the gradient. */
  private dropGradient(model: Engine.EngineModel): Effect.Effect<void, Engine.EngineError> {
    const drop = Effect.suspend(() =>
      this.mayHoldGradient
        ? Effect.flatten(Effect.zipWith(model.adapter, model.optimizer, (adapter, optimizer) => model.load(adapter, optimizer)))
        : Effect.void
    )
    return Effect.tap(drop, () => Effect.sync(() => this.clear()))
  }
}
