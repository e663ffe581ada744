/** Checks that each optimizer step that the service applied had the whole gradient of its step, and no other. */
import type * as Simulator from "@effect-tinker/testing/Simulator"
import { countApplications, errorOf, type ModelLog, nameOf, type Submitted } from "./appliedOperations.ts"

/** The operations of a model, and how often the service applied each. */
interface Applied {
  readonly submitted: ReadonlyArray<Submitted>
  readonly applications: ReadonlyMap<string, number>
  /** of the passes whose gradient an operation found: those since it was last applied, loaded over, or dropped */
  readonly gradientAt: ReadonlyMap<string, ReadonlyMap<string, number>>
}

/** An applied step, and how often each pass is in its gradient. */
interface Step {
  readonly applied: Applied
  readonly index: number
  readonly gradient: ReadonlyMap<string, number>
}

const isApplied = ({ applications }: Applied, operation: Submitted) =>
  operation.kind === "LoadWeights" ? operation.exit?._tag === "Success" : (applications.get(nameOf(operation)) ?? 0) > 0

/** What each step found as the gradient. */
const gradientsOf = (applied: ReadonlyArray<Simulator.Applied>): Applied["gradientAt"] => {
  const found = new Map<string, ReadonlyMap<string, number>>()
  let since = 0
  for (const [index, one] of applied.entries()) {
    if (one.type === "OptimStep") {
      for (const name of countApplications([one]).keys())
        found.set(name, countApplications(applied.slice(since, index)))
    }
    if (["OptimStep", "LoadWeights", "DropGradient"].includes(one.type)) since = index + 1
  }
  return found
}

/** How many operations were submitted before the program saw a failure: its own, or that of one that names it. */
const seenBefore = ({ submitted }: Applied, operation: Submitted): number => {
  const error = operation.exit === undefined ? undefined : errorOf(operation.exit)
  const naming = submitted.filter(
    (other) =>
      other === operation || (error !== undefined && other.exit !== undefined && errorOf(other.exit)?.cause === error)
  )
  return Math.min(...naming.map((other) => other.seenBefore))
}

/** Whether a step was not sent for another reason than that a gradient waits, which the next step may apply. */
const wasNotSent = ({ exit }: Submitted) => {
  const error = exit === undefined ? undefined : errorOf(exit)
  return error?._tag === "StepRefused"
    ? error.reason !== "GradientWaits"
    : error?._tag === "PartialGradient" || error?._tag === "ClientBroken"
}

/** Whether an operation ran, and failed. */
const hasFailed = ({ exit }: Submitted) => exit !== undefined && errorOf(exit)?._tag === "RequestFailed"

const isPass = ({ kind, requests }: Submitted) => kind === "ForwardBackward" && requests > 0

/** What is wrong with the gradient of one pass, as part of the step that was applied next. */
const checkPass = ({ applied, gradient, index: step }: Step, from: number, pass: number): ReadonlyArray<string> => {
  const { submitted } = applied
  const one = submitted[pass]!
  const times = gradient.get(nameOf(one)) ?? 0
  // steps between the two that were not applied
  const between = submitted.slice(pass + 1, step)
  const unapplied = between.filter(({ kind, requests }) => kind === "OptimStep" && requests > 0)
  const passesAfter = (index: number) =>
    submitted.slice(index + 1, step).filter((other) => isPass(other) && (gradient.get(nameOf(other)) ?? 0) > 0)
  if (times > 0 && times < one.requests) return [`applied a part of ${nameOf(one)}`]
  if (times > 0) {
    return unapplied.flatMap((other) => {
      const index = submitted.indexOf(other)
      return wasNotSent(other) || hasFailed(other) || seenBefore(applied, other) > step || passesAfter(index).length > 0
        ? [`applied the gradient of ${nameOf(one)}, which was that of ${nameOf(other)}`]
        : []
    })
  }
  if (unapplied.length > 0) return []
  const seen = seenBefore(applied, one)
  // a program may go on without a pass that it has seen fail
  if (hasFailed(one)) return seen > step ? [`applied a step without the gradient of ${nameOf(one)}`] : []
  const unaware = [step, ...passesAfter(pass).map((other) => submitted.indexOf(other))].some((index) => seen > index)
  const start = submitted.slice(0, pass).findLastIndex(({ kind, requests }) => kind === "OptimStep" && requests > 0)
  const before = submitted
    .slice(Math.max(from, start), pass)
    .some((other) => isPass(other) && isApplied(applied, other))
  return unaware || before ? [`applied a step without the gradient of ${nameOf(one)}`] : []
}

/** What is wrong with the steps that were applied to a model. */
export const checkSteps = (
  { modelId, submitted }: ModelLog,
  all: ReadonlyArray<Simulator.Applied>
): ReadonlyArray<string> => {
  const ofModel = all.filter(({ model_id }) => model_id === modelId)
  const applied: Applied = {
    submitted,
    applications: countApplications(ofModel),
    gradientAt: gradientsOf(ofModel)
  }
  const problems: Array<string> = []
  let from = 0
  for (const [index, operation] of submitted.entries()) {
    if (operation.kind !== "OptimStep" && operation.kind !== "LoadWeights") continue
    if (!isApplied(applied, operation)) continue
    if (operation.kind === "OptimStep") {
      const step: Step = { applied, index, gradient: applied.gradientAt.get(nameOf(operation)) ?? new Map() }
      for (let pass = from; pass < index; pass++) {
        if (!isPass(submitted[pass]!)) continue
        problems.push(...checkPass(step, from, pass).map((problem) => `${nameOf(operation)} ${problem}`))
      }
    }
    from = index + 1
  }
  return problems
}
