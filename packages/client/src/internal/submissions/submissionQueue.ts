/** The queue of one model: submits operations in call order, and returns their futures. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as TinkerFuture from "../../TinkerFuture.ts"
import * as progress from "../polling/progress.ts"
import { type OperationRecord, startRecord } from "../telemetry/instrument.ts"
import { Usage } from "../telemetry/usage.ts"
import * as results from "./awaitResults.ts"
import { Breakage } from "./breakage.ts"
import type { Accepted, Operation, Submitted } from "./operation.ts"
import { sendReads } from "./sendReads.ts"
import type { Sender } from "./sendRequest.ts"
import { sendRequests } from "./sendRequests.ts"
import { SeqIds } from "./seqIds.ts"
import { type NotSent, Steps } from "./steps.ts"
import { StepTraces, type Traced } from "./stepTraces.ts"
import { placeOf, releaseSeqIds, seqIdsOf, type Submission } from "./submission.ts"
import type { DurationInput } from "../util/duration.ts"

interface Options extends Pick<results.Context, "client" | "limits" | "queueState"> {
  /** the lifetime of the client: its fibers run in it */
  readonly scope: Scope.Scope
  readonly modelId: string
  /** whether requests name the sequence numbers that were refused: browsers ask the service whether they may */
  readonly namesRefused: boolean
  /** whether the service takes no step behind a pass that failed, and drops its gradient */
  readonly dropsFailedSteps: boolean
  /** the prefix of the names of spans and metrics, such as `TrainingClient` */
  readonly name: string
  readonly attributes: { readonly [name: string]: unknown }
}

/** Submits its requests when it runs, and then returns the effect that waits for the result. */
type Submit<B, E> = Effect.Effect<Effect.Effect<B, TinkerError.TinkerError | E>, TinkerError.TinkerError | E>

/** Operations that share one place in the queue. @internal */
export interface Group {
  /** Submits an operation of the group, and returns the effect that waits for its result. */
  readonly submit: <A, I, B>(operation: Operation<A, I, B>) => Submit<B, never>
  /** Runs the user's code. A submission to the same client inside it fails, since it would wait for itself. */
  readonly runUserCode: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

interface GroupOptions<B, E> {
  readonly method: string
  readonly role: Submission["role"]
  /** sequence numbers to reserve */
  readonly requestCount: number
  readonly batch?: object | undefined
  /** Submits the operations of the group. Nothing else is submitted before it ends. */
  readonly run: (group: Group) => Submit<B, E>
}

/** @internal */
export interface SubmissionQueue {
  /** Reserves sequence numbers and a place in the queue, and returns the future. It never waits. */
  readonly submit: <A, I, B>(operation: Operation<A, I, B>) => Submitted<B>
  /**
   * Reserves one place for several operations that depend on each other. Sequence numbers that they do not use pass to the
   * submissions behind them.
   */
  readonly submitGroup: <B, E>(options: GroupOptions<B, E>) => Submitted<B, E>
}

interface State extends results.Context, Sender {
  readonly options: Options
  readonly steps: Steps
  readonly traces: StepTraces
  readonly waiting: Array<Submission>
  nextSeqId: number
  hasWarned: boolean
  /** resumes the fiber that submits; defined while it waits for a submission */
  wake: (() => void) | undefined
}

/** The queue whose group runs the code of the current fiber. */
class CurrentGroup extends Context.Reference<CurrentGroup>()("@effect-tinker/client/internal/CurrentGroup", {
  defaultValue: (): object | undefined => undefined
}) {}

/** What a submission reserves, and how it sends its requests. */
interface Reservation<B, E> {
  readonly method: string
  readonly role: Submission["role"]
  readonly requestCount: number
  readonly bytes?: number | undefined
  readonly usage?: Operation<never, never, never>["usage"]
  readonly batch?: object | undefined
  readonly submit: (submission: Submission, tracking: Tracking) => Submit<B, E>
}

interface Tracking {
  readonly record: OperationRecord
  readonly noProgressLimit: DurationInput
}

/** Sends the requests of an operation, and returns the effect that waits for its result. */
const submitOperation = <A, I, B>(
  state: State,
  operation: Operation<A, I, B>,
  { noProgressLimit, record }: Tracking,
  send: Effect.Effect<ReadonlyArray<Accepted<A>>, TinkerError.TinkerError>
): Submit<B, never> =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const accepted = yield* send
    const roundtripSeconds = ((yield* Clock.currentTimeMillis) - start) / 1000
    return results.awaitResults(state, operation, accepted, { record, noProgressLimit, roundtripSeconds })
  })

/** Submits an operation with a place of its own. */
const submitSingle = <A, I, B>(
  state: State,
  operation: Operation<A, I, B>,
  submission: Submission,
  tracking: Tracking
): Submit<B, never> => {
  const { record } = tracking
  const release = (count: number) => releaseSeqIds(state, submission, submission.requestCount - count)
  const place = placeOf(state, submission, { offset: 0, adds: operation.role === "gradient", release })
  return submitOperation(
    state,
    operation,
    tracking,
    Effect.suspend(() =>
      state.breakage.isBroken
        ? Effect.andThen(
            warnOfDoubt(state, operation.method),
            sendReads(state, operation, submission.firstSeqId, record, (used, nextSeqId) => {
              releaseSeqIds(state, submission, nextSeqId - submission.firstSeqId)
              submission.usedSeqIds = used
            })
          )
        : sendRequests(state, operation, place, record)
    )
  )
}

/** Warns, once for each client, that what is read or saved may lack the request in doubt. */
const warnOfDoubt = (state: State, method: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (state.hasWarned) return Effect.void
    state.hasWarned = true
    return Effect.logWarning(
      `${method} is sent although it is not known whether ${state.breakage.description} was applied: ` +
        "what it reads or saves has that operation, or lacks it"
    )
  })

/** Submits the operations of a group one after the other, with the sequence numbers that are reserved for them. */
const submitGroup = <B, E>(
  state: State,
  { run }: GroupOptions<B, E>,
  submission: Submission,
  tracking: Tracking
): Submit<B, E> =>
  Effect.suspend(() => {
    let used = 0
    const release = (count: number) => {
      used -= count
    }
    const group: Group = {
      runUserCode: Effect.provideService(CurrentGroup, state),
      submit: (operation) =>
        Effect.suspend(() => {
          const place = placeOf(state, submission, { offset: used, adds: operation.role === "gradient", release })
          used += operation.requestCount
          return submitOperation(state, operation, tracking, sendRequests(state, operation, place, tracking.record))
        })
    }
    return Effect.ensuring(
      run(group),
      Effect.sync(() => releaseSeqIds(state, submission, used))
    )
  })

/**
 * Why the rest of a step is not sent that has lost a pass after the service accepted it. What the service holds of its other
 * passes, only a step of a service that drops it takes away.
 */
const dropRest = (state: State, submission: Submission, traced: Traced): NotSent | undefined => {
  const { options, seqIds, steps, traces } = state
  const lost = traces.lost(traced)
  if (lost === undefined) return undefined
  const { failed, isHeld, passes } = lost
  if (isHeld && submission.role === "step") {
    if (!options.dropsFailedSteps) steps.notePartial(failed)
    return undefined
  }
  if (!isHeld) {
    steps.noteDropped()
    for (const pass of passes) {
      pass.isSeen = true
      // of the requests behind, our service may take a step
      for (const seqId of seqIdsOf(pass)) seqIds.noteRefused(seqId, submission.firstSeqId)
    }
  }
  return { error: new TinkerError.StepRefused({ method: submission.method, ...failed, reason: "NoGradient" }) }
}

/** Submits, unless the step of the submission was refused; and notes what its end means for the steps. */
const submitInStep = <B, E>(state: State, submission: Submission, traced: Traced, submit: Submit<B, E>): Submit<B, E> =>
  Effect.suspend(() => {
    const { breakage, steps, traces } = state
    const notSent = dropRest(state, submission, traced) ?? steps.admit(submission)
    if (notSent !== undefined) {
      submission.refusal = notSent.refusal
      releaseSeqIds(state, submission, 0)
      return Effect.fail(notSent.error)
    }
    traces.noteSending(traced)
    return Effect.onExit(submit, (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) {
          traces.noteAccepted(traced)
          return steps.noteAccepted(submission.role)
        }
        if (breakage.isBroken) return
        const { firstSeqId, gradientRequests, method, refusedSeqId, role } = submission
        const failed = { operation: method, seqId: refusedSeqId ?? firstSeqId, cause: Cause.squash(exit.cause) }
        submission.refusal = steps.noteFailed(role, failed, gradientRequests > 0)
      })
    )
  })

/** Takes a place at the end of the queue. It is synchronous, so that sequence numbers follow the order of calls. */
const enqueue = <B, E>(
  state: State,
  reservation: Reservation<B, E>,
  traced: Traced,
  tracking: Tracking,
  accepted: Deferred.Deferred<Effect.Effect<B, TinkerError.TinkerError | E>, TinkerError.TinkerError | E>
): Submission => {
  const { breakage } = state
  const { record } = tracking
  const reject = Effect.suspend(() => Deferred.fail(accepted, breakage.errorFor(reservation.method)))
  const submission: Submission = {
    method: reservation.method,
    role: reservation.role,
    era: state.steps.era,
    firstSeqId: state.nextSeqId,
    requestCount: reservation.requestCount,
    usedSeqIds: undefined,
    gradientRequests: 0,
    refusedSeqId: undefined,
    refusal: undefined,
    isSeen: false,
    run: Effect.suspend(() => submitInStep(state, submission, traced, reservation.submit(submission, tracking))).pipe(
      Effect.withParentSpan(record.span),
      Effect.tap(() => Effect.sync(() => record.noteAccepted())),
      Effect.exit,
      Effect.flatMap((exit) =>
        // When the client closes, this fiber ends. An interruption that arrives here is that of a request.
        Exit.isInterrupted(exit) && breakage.isBroken ? reject : Deferred.done(accepted, exit)
      )
    ),
    reject
  }
  state.nextSeqId += reservation.requestCount
  state.waiting.push(submission)
  state.wake?.()
  return submission
}

/** The program has seen that a submission failed: what it calls from now on, it calls knowing that. */
const noteSeen = ({ nextSeqId, seqIds, steps }: State, submission: Submission): void => {
  if (submission.refusal !== undefined) steps.noteSeen(submission.refusal)
  // An accepted pass that failed later: our service takes no step behind it until it is named, which what was called
  // before must not do. Of several chunks, some may have been added: no step may be taken with those.
  if (submission.gradientRequests !== 1 || submission.refusedSeqId !== undefined || submission.isSeen) return
  submission.isSeen = true
  for (const seqId of seqIdsOf(submission)) seqIds.noteRefused(seqId, nextSeqId)
}

/** Reserves a place in the queue, and returns the future. Uninterruptible, so that no place is left without a future. */
const reserve = <B, E>(state: State, reservation: Reservation<B, E>): Submitted<B, E> => {
  const { attributes, name, scope } = state.options
  return Effect.gen(function* () {
    if ((yield* CurrentGroup) === state) {
      return yield* new TinkerError.InvalidInput({
        method: reservation.method,
        path: "loss",
        reason: "was submitted inside a loss of the same client, and would wait for itself: submit it before or after"
      })
    }
    const noProgressLimit = yield* TinkerFuture.NoProgressLimit
    const record = yield* startRecord(`${name}.${reservation.method}`, attributes)
    record.bytes = reservation.bytes ?? 0
    const { usage } = reservation
    if (usage !== undefined) record.usage = new Usage(usage.operation, usage.inputTokens)
    const traced = state.traces.begin(reservation.role, reservation.batch)
    if (traced.repeated !== undefined) yield* warnOfRepetition(reservation.method, traced.repeated)
    const accepted = yield* Deferred.make<Effect.Effect<B, TinkerError.TinkerError | E>, TinkerError.TinkerError | E>()
    const submission = enqueue(state, reservation, traced, { record, noProgressLimit }, accepted)
    const seqIds = () => seqIdsOf(submission)
    return yield* TinkerFuture.make<B, TinkerError.TinkerError | E>({
      method: reservation.method,
      seqIds,
      scope,
      onFailureSeen: () => {
        noteSeen(state, submission)
        state.traces.noteSeen(traced)
      },
      run: Effect.flatten(Deferred.await(accepted)).pipe(
        Effect.withParentSpan(record.span),
        Effect.onExit((exit) => Effect.sync(() => record.end(exit, describeSeqIds(seqIds())))),
        Effect.tapErrorCause((cause) => Effect.sync(() => noteLate(state, submission, traced, cause))),
        Effect.onExit((exit) => reportEnd(state, traced, `${reservation.method} (seq_id ${seqIds()[0]})`, exit))
      )
    })
  }).pipe(Effect.annotateLogs(attributes), Effect.uninterruptible)
}

/** An accepted pass has failed: what of its step is still to be sent lacks its gradient. */
const noteLate = (state: State, submission: Submission, traced: Traced, cause: Cause.Cause<unknown>): void => {
  const error = Cause.squash(cause)
  // of another error it is not known whether the pass failed
  if (!(error instanceof TinkerError.RequestFailed) || submission.gradientRequests === 0) return
  const { gradientRequests, method } = submission
  const failed = { operation: method, seqId: seqIdsOf(submission)[0]!, cause: error }
  const isOpen = state.traces.noteLate(traced, submission, failed)
  if (isOpen && gradientRequests > 1 && !state.options.dropsFailedSteps) state.steps.notePartial(failed)
}

/** A program that repeats a step after a failure may apply its gradient twice. */
const warnOfRepetition = (method: string, count: number): Effect.Effect<void> =>
  Effect.logWarning(
    `${method}: the same batch is submitted for the ${ordinal(count)} time, after a failure. If its gradient was added before, ` +
      "it is added again: submit a step once with Step.make, and retry that"
  )

const ordinal = (count: number): string => (count === 2 ? "2nd" : count === 3 ? "3rd" : `${count}th`)

/** Says that a step was applied whose pass failed. */
const reportEnd = (
  { traces }: State,
  traced: Traced,
  name: string,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const pass = traces.end(traced, name, Exit.isFailure(exit))
    return pass === undefined
      ? Effect.void
      : Effect.logWarning(
          `a step was applied although ${pass} of it failed: it lacks that gradient, and the weights are not what the ` +
            "program computed them to be"
        )
  })

/** The first sequence number and the count: a large batch has thousands. */
const describeSeqIds = (seqIds: ReadonlyArray<number>) => ({
  "tinker.seq_id": seqIds[0],
  "tinker.seq_id_count": seqIds.length
})

/** The first submission of the queue; waits for one if there is none. */
const takeNext = (state: State): Effect.Effect<Submission> =>
  Effect.suspend(() => {
    const next = state.waiting.shift()
    return next === undefined ? Effect.flatMap(awaitSubmission(state), () => takeNext(state)) : Effect.succeed(next)
  })

const awaitSubmission = (state: State): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    state.wake = () => {
      state.wake = undefined
      resume(Effect.void)
    }
    return Effect.sync(() => {
      state.wake = undefined
    })
  })

/** Sends the requests of a submission, or fails its future where the client is broken. */
const runOrReject = (state: State, submission: Submission): Effect.Effect<void> => {
  const { breakage } = state
  if (!breakage.isBroken || (submission.role === "reads" && breakage.allowsReads)) return submission.run
  releaseSeqIds(state, submission, 0)
  return submission.reject
}

/**
 * Starts a queue. One fiber of the client's scope submits, so that no caller's interruption can leave a gap in the
 * sequence numbers or split an operation. An operation that is refused fails alone, with the rest of its step. When a
 * request leaves doubt, the rest of its operation and all that wait behind it fail with `ClientBroken`, without being sent;
 * operations that only read the model are still sent.
 *
 * @internal
 */
export const make = (options: Options): Effect.Effect<SubmissionQueue> =>
  Effect.suspend(() => {
    const { client, limits, modelId, namesRefused, queueState } = options
    const state: State = {
      client,
      limits,
      queueState,
      progress: progress.make(),
      options,
      modelId,
      breakage: new Breakage(),
      seqIds: new SeqIds(namesRefused),
      steps: new Steps(),
      traces: new StepTraces(),
      waiting: [],
      nextSeqId: 1,
      hasWarned: false,
      wake: undefined
    }
    const queue: SubmissionQueue = {
      submit: (operation) =>
        reserve(state, {
          method: operation.method,
          role: operation.role,
          requestCount: operation.requestCount,
          bytes: operation.bytes,
          usage: operation.usage,
          batch: operation.batch,
          submit: (submission, tracking) => submitSingle(state, operation, submission, tracking)
        }),
      submitGroup: (group) =>
        reserve(state, {
          method: group.method,
          role: group.role,
          requestCount: group.requestCount,
          batch: group.batch,
          submit: (submission, tracking) => submitGroup(state, group, submission, tracking)
        })
    }
    return takeNext(state).pipe(
      Effect.flatMap((submission) => runOrReject(state, submission)),
      Effect.forever,
      Effect.interruptible,
      Effect.forkIn(options.scope),
      Effect.as(queue)
    )
  })
