/** Follows batches and steps over time: what failed of a step after it was accepted, and what no single operation can see. */
import type { Failed, Role } from "./steps.ts"
import type { Submission } from "./submission.ts"

/** What is called up to and including an optimizer step. */
interface Step {
  /** a pass of it that failed, after the service had accepted it or before */
  failedPass: string | undefined
  /** an operation of it failed */
  hasFailed: boolean
  /** accepted passes that have not failed */
  held: number
  /** passes that failed after they were accepted */
  readonly late: Array<{ readonly submission: Submission; readonly failed: Failed }>
  /** one of those had several requests, of which some may have been added to the gradient */
  isPartial: boolean
  /** its update, or a load that clears its gradient, went to the service */
  isSent: boolean
  isApplied: boolean
  isReported: boolean
}

/** What a step has lost after the service accepted it. @internal */
export interface Lost {
  readonly failed: Failed
  readonly passes: ReadonlyArray<Submission>
  /** other passes of it are in the gradient that the service holds */
  readonly isHeld: boolean
}

/** What is followed of one operation. @internal */
export interface Traced {
  readonly role: Role
  readonly step: Step
  /** how many times its batch was submitted, this one included, if the step of an earlier one has failed */
  readonly repeated: number | undefined
}

const makeStep = (): Step => ({
  failedPass: undefined,
  hasFailed: false,
  held: 0,
  late: [],
  isPartial: false,
  isSent: false,
  isApplied: false,
  isReported: false
})

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

  /** Notes an operation that goes to the service. */
  noteSending({ role, step }: Traced): void {
    if (role === "step" || role === "load") step.isSent = true
  }

  noteAccepted({ role, step }: Traced): void {
    if (role === "gradient") step.held++
  }

  /** Notes a pass that failed after the service had accepted it. Returns whether its step can still be dropped. */
  noteLate({ step }: Traced, submission: Submission, failed: Failed): boolean {
    step.held--
    step.isPartial ||= submission.gradientRequests > 1
    step.late.push({ submission, failed })
    return !step.isSent
  }

  /** What the step of an operation that is about to be sent has lost. */
  lost({ role, step }: Traced): Lost | undefined {
    const [first] = step.late
    if (first === undefined || (role !== "gradient" && role !== "step")) return undefined
    const passes = step.late.map(({ submission }) => submission)
    return { failed: first.failed, passes, isHeld: step.held > 0 || step.isPartial }
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
