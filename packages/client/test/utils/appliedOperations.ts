/** Compares the operations that a program submitted with those that the service applied. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Engine from "@effect-tinker/server/Engine"
import type * as Simulator from "@effect-tinker/testing/Simulator"
import { Cause, Exit } from "effect"

/** A submitted operation, and its result. */
export interface Submitted {
  readonly kind: string
  /** identifies the operation within its program; part of its input, so that it can be read from what was applied */
  readonly tag: number
  readonly datums: number
  readonly changesTraining: boolean
  /** the training state that is saved or loaded */
  readonly path?: string | undefined
  /** how many requests it was split into; 0 if it was not submitted */
  requests: number
  /** none if the caller was interrupted before the submission; they change when others leave some unused */
  seqIds: () => ReadonlyArray<number>
  exit: Exit.Exit<unknown, unknown> | undefined
  /** how many operations were submitted before the program saw the exit */
  seenBefore: number
}

/** The operations of one model, in the order of their submission. */
export interface ModelLog {
  readonly modelId: string
  /** the training state that the model was made from */
  readonly origin?: string | undefined
  readonly submitted: Array<Submitted>
}

/** An operation that the engine failed. */
export interface EngineFailure {
  readonly model_id: string
  readonly seq_id: number
}

/** Encodes a tag in tokens. */
export const tokensOf = (tag: number) => [tag & 15, (tag >> 4) & 15, (tag >> 8) & 15]

const fromTokens = (tokens: ArrayLike<number>) => tokens[0]! + 16 * tokens[1]! + 256 * tokens[2]!

/** The tag in the input of an applied operation, where its kind carries one. */
const tagOf = (applied: Simulator.Applied): number | undefined => {
  switch (applied.type) {
    case "Forward":
    case "ForwardBackward":
      return fromTokens(ModelInput.toTokens((applied.input as Engine.PassOptions).data[0]!.model_input))
    case "OptimStep":
      return Math.round((applied.input as { readonly learning_rate: number }).learning_rate * 2 ** 20)
    default:
      return undefined
  }
}

/** The error of an exit, if it failed with one of ours. */
export const errorOf = (exit: Exit.Exit<unknown, unknown>): TinkerError.TinkerError | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const failure = Cause.failureOption(exit.cause)
  return failure._tag === "Some" && TinkerError.isTinkerError(failure.value) ? failure.value : undefined
}

/** The service applies the operations of a model in the order of their sequence numbers. */
const checkOrder = (applied: ReadonlyArray<Simulator.Applied>): ReadonlyArray<string> =>
  applied.flatMap(({ seq_id }, i) =>
    i > 0 && seq_id <= applied[i - 1]!.seq_id ? [`seq_id ${seq_id} was applied after ${applied[i - 1]!.seq_id}`] : []
  )

export const nameOf = ({ kind, tag }: Submitted) => `${kind} ${tag}`

/** How often each operation was applied, by kind and tag: its sequence number might be wrong. */
export const countApplications = (applied: ReadonlyArray<Simulator.Applied>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const one of applied) {
    const tag = tagOf(one)
    if (tag !== undefined) counts.set(`${one.type} ${tag}`, (counts.get(`${one.type} ${tag}`) ?? 0) + 1)
  }
  return counts
}

const describeOperation = ({ exit, kind, seqIds, tag }: Submitted) => {
  const outcome =
    exit === undefined ? "" : Exit.isSuccess(exit) ? ", succeeded" : `, ${errorOf(exit)?._tag ?? "interrupted"}`
  return `${kind} ${tag} (seq_id ${seqIds().join(", ")}${outcome})`
}

// what the service rejected for certain, or the client did not send
const refusals = ["BadRequest", "Unauthorized", "PermissionDenied", "InvalidInput", "StepRefused", "PartialGradient"]

/** Whether the program cannot know that nothing of an operation was applied: nothing may follow it. */
const isLost = ({ exit, kind }: Submitted): boolean => {
  if (exit === undefined || Exit.isSuccess(exit)) return false
  const tag = errorOf(exit)?._tag ?? ""
  // RequestFailed means that the service ran the operation; a load fails for lack of the checkpoint
  return tag !== "RequestFailed" && !refusals.includes(tag) && !(tag === "NotFound" && kind === "LoadWeights")
}

/** Checks one operation: its exit, and how often it was applied. */
const checkOperation = (submitted: Submitted, applications: number): ReadonlyArray<string> => {
  const { datums, exit, requests } = submitted
  const problems: Array<string> = []
  if (
    exit !== undefined &&
    Exit.isFailure(exit) &&
    errorOf(exit) === undefined &&
    !Cause.isInterruptedOnly(exit.cause)
  ) {
    problems.push(`died: ${Cause.pretty(exit.cause)}`)
  }
  // a batch may be split into as many requests as it has datums
  const most = requests > 0 ? requests : Math.max(1, datums)
  if (applications > most) problems.push(`was applied ${applications} times instead of ${most}`)
  return problems
}

/** What is wrong with the operations that were applied to a model. */
export const checkModel = (
  log: ModelLog,
  all: ReadonlyArray<Simulator.Applied>,
  failures: ReadonlyArray<EngineFailure> = []
): ReadonlyArray<string> => {
  const failed = failures.filter(({ model_id }) => model_id === log.modelId).map(({ seq_id }) => seq_id)
  const applied = all.filter(
    ({ model_id, type }) => model_id === log.modelId && type !== "CreateModel" && type !== "DropGradient"
  )
  const problems: Array<string> = [...checkOrder(applied)]
  const applications = countApplications(applied)
  // a forward pass may take the number of a chunk that was not sent
  const submittedNames = new Set(
    log.submitted.flatMap((one) => [nameOf(one), ...(one.kind === "ForwardBackward" ? [`Forward ${one.tag}`] : [])])
  )
  for (const name of applications.keys()) {
    if (!submittedNames.has(name)) problems.push(`${name} was applied, and was never submitted`)
  }
  const bySeqId = new Map(applied.map((one) => [one.seq_id, one]))
  let lastSeqId = 0
  let isInDoubt = false
  // the first operation that should have changed the model and did not
  let missing: Submitted | undefined
  for (const submitted of log.submitted) {
    const { changesTraining, exit, kind, tag } = submitted
    const error = exit === undefined ? undefined : errorOf(exit)
    const report = (problem: string) => problems.push(`${describeOperation(submitted)} ${problem}`)
    checkOperation(submitted, applications.get(`${kind} ${tag}`) ?? 0).forEach(report)
    isInDoubt ||= isLost(submitted)
    for (const seqId of submitted.seqIds()) {
      // reads go on with the numbers that are in doubt
      if (seqId <= lastSeqId && (changesTraining || !isInDoubt)) report(`has a sequence number below ${lastSeqId}`)
      lastSeqId = seqId
      const found = bySeqId.get(seqId)
      if (found === undefined) {
        if (exit !== undefined && Exit.isSuccess(exit)) report("was not applied")
        // it failed in the engine, or as a step of which a pass did
        const isFailed = failed.includes(seqId) || (kind === "OptimStep" && failed.length > 0)
        if (isLost(submitted) && changesTraining && !isFailed) missing ??= submitted
        continue
      }
      const isFilled = kind === "ForwardBackward" && found.type === "Forward" && exit?._tag !== "Success"
      if (found.type !== kind && !isFilled) report(`was applied as ${found.type}`)
      const foundTag = tagOf(found)
      if (foundTag !== undefined && foundTag !== tag) report(`was applied as operation ${foundTag}`)
      if (error?._tag === "ClientBroken") report("reports that it was not sent, but was applied")
      if (isFilled) continue
      // chunks arrive side by side: where one is in doubt, others may be applied, and what must not follow is a step
      if (missing !== undefined && missing !== submitted && changesTraining) {
        report(`was applied although ${missing.kind} ${missing.tag} before it was not`)
      }
    }
  }
  return problems
}
