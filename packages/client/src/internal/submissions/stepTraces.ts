/** Follows batches and steps over time, to say in the log what no single operation can see. */
import type { Role } from "./steps.ts"

/** What is called up to and including an optimizer step. */
interface Step {
  /** a pass of it that failed, after the service had accepted it or before */
  failedPass: string | undefined
  /** an operation of it failed */
  hasFailed: boolean
  isApplied: boolean
  isReported: boolean
}

/** What is followed of one operation. @internal */
export interface Traced {
  readonly role: Role
  readonly step: Step
  /** how many times its batch was submitted, this one included, if the step of an earlier one has failed */
  readonly repeated: number | undefined
}

const makeStep = (): Step => ({ failedPass: undefined, hasFailed: false, isApplied: false, isReported: false })

/** The steps of one client. @internal */
export class StepTraces {
  private step = makeStep()
  private readonly batches = new WeakMap<object, { readonly count: number; readonly step: Step }>()

  /** Notes a call, with the array of its datums if it has one. */
  begin(role: Role, batch: object | undefined): Traced {
    const { step } = this
    if (role === "step" || role === "load") this.step = makeStep()
    if (role !== "gradient" || batch === undefined) return { role, step, repeated: undefined }
    const before = this.batches.get(batch)
    const count = (before?.count ?? 0) + 1
    this.batches.set(batch, { count, step })
    return { role, step, repeated: before?.step.hasFailed === true ? count : undefined }
  }

  /** The program has seen that an operation failed: what it calls from now on is another step. */
  noteSeen({ step }: Traced): void {
    if (step === this.step) this.step = makeStep()
  }

  /** Notes the end of an operation. Returns the pass that a step was applied without, once. */
  end({ role, step }: Traced, name: string, hasFailed: boolean): string | undefined {
    if (hasFailed) step.hasFailed = true
    if (hasFailed && role === "gradient") step.failedPass ??= name
    if (!hasFailed && role === "step") step.isApplied = true
    if (!step.isApplied || step.failedPass === undefined || step.isReported) return undefined
    step.isReported = true
    return step.failedPass
  }
}
