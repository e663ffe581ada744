/** The queue of one model: submits operations in call order, and returns their futures. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as TinkerFuture from "../../TinkerFuture.ts"
import * as progress from "../polling/progress.ts"
import { type OperationRecord, startRecord } from "../telemetry/instrument.ts"
import * as results from "./awaitResults.ts"
import { Breakage } from "./breakage.ts"
import type { Operation, Submitted } from "./operation.ts"
import { sendRequests } from "./sendRequests.ts"
import type { DurationInput } from "../util/duration.ts"

interface Options extends Pick<results.Context, "client" | "limits" | "queueState"> {
  /** the lifetime of the client: its fibers run in it */
  readonly scope: Scope.Scope
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
  /** sequence numbers to reserve */
  readonly requestCount: number
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

/** An operation, or a group of them, with a place in the queue. */
interface Submission {
  firstSeqId: number
  requestCount: number
  /** sends the requests */
  readonly run: Effect.Effect<void>
  /** fails the future, because the client is broken */
  readonly reject: Effect.Effect<void>
}

interface State extends results.Context {
  readonly options: Options
  readonly breakage: Breakage
  readonly waiting: Array<Submission>
  nextSeqId: number
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
  readonly requestCount: number
  readonly bytes?: number | undefined
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
  firstSeqId: number,
  { noProgressLimit, record }: Tracking
): Submit<B, never> =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const accepted = yield* sendRequests(operation, firstSeqId, record, state.breakage)
    const roundtripSeconds = ((yield* Clock.currentTimeMillis) - start) / 1000
    return results.awaitResults(state, operation, accepted, { record, noProgressLimit, roundtripSeconds })
  })

/** Passes the unused sequence numbers of a submission to those behind it. */
const releaseSeqIds = (state: State, submission: Submission, used: number) => {
  const unused = submission.requestCount - used
  submission.requestCount = used
  for (const later of state.waiting) later.firstSeqId -= unused
  state.nextSeqId -= unused
}

/** Submits the operations of a group one after the other, with the sequence numbers that are reserved for them. */
const submitGroup = <B, E>(
  state: State,
  { run }: GroupOptions<B, E>,
  submission: Submission,
  tracking: Tracking
): Submit<B, E> =>
  Effect.suspend(() => {
    let used = 0
    const group: Group = {
      runUserCode: Effect.provideService(CurrentGroup, state),
      submit: (operation) =>
        Effect.suspend(() => {
          const firstSeqId = submission.firstSeqId + used
          used += operation.requestCount
          return submitOperation(state, operation, firstSeqId, tracking)
        })
    }
    return Effect.ensuring(
      run(group),
      Effect.sync(() => releaseSeqIds(state, submission, used))
    )
  })

/** Takes a place at the end of the queue. It is synchronous, so that sequence numbers follow the order of calls. */
const enqueue = <B, E>(
  state: State,
  reservation: Reservation<B, E>,
  tracking: Tracking,
  accepted: Deferred.Deferred<Effect.Effect<B, TinkerError.TinkerError | E>, TinkerError.TinkerError | E>
): Submission => {
  const { breakage } = state
  const { record } = tracking
  const reject = Effect.suspend(() => Deferred.fail(accepted, breakage.errorFor(reservation.method)))
  const submission: Submission = {
    firstSeqId: state.nextSeqId,
    requestCount: reservation.requestCount,
    run: Effect.suspend(() => reservation.submit(submission, tracking)).pipe(
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
    const accepted = yield* Deferred.make<Effect.Effect<B, TinkerError.TinkerError | E>, TinkerError.TinkerError | E>()
    const submission = enqueue(state, reservation, { record, noProgressLimit }, accepted)
    const seqIds = () => Array.from({ length: submission.requestCount }, (_, index) => submission.firstSeqId + index)
    return yield* TinkerFuture.make<B, TinkerError.TinkerError | E>({
      method: reservation.method,
      seqIds,
      scope,
      run: Effect.flatten(Deferred.await(accepted)).pipe(
        Effect.withParentSpan(record.span),
        Effect.onExit((exit) => Effect.sync(() => record.end(exit, { "tinker.seq_ids": seqIds() })))
      )
    })
  }).pipe(Effect.annotateLogs(attributes), Effect.uninterruptible)
}

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

/**
 * Starts a queue. One fiber of the client's scope submits, so that no caller's interruption can leave a gap in the
 * sequence numbers or split an operation. When a request breaks the client, the rest of its operation and all that wait
 * behind it fail with `ClientBroken`, without being sent.
 *
 * @internal
 */
export const make = (options: Options): Effect.Effect<SubmissionQueue> =>
  Effect.suspend(() => {
    const { client, limits, queueState } = options
    const state: State = {
      client,
      limits,
      queueState,
      progress: progress.make(),
      options,
      breakage: new Breakage(),
      waiting: [],
      nextSeqId: 1,
      wake: undefined
    }
    const queue: SubmissionQueue = {
      submit: (operation) =>
        reserve(state, {
          method: operation.method,
          requestCount: operation.requestCount,
          bytes: operation.bytes,
          submit: ({ firstSeqId }, tracking) => submitOperation(state, operation, firstSeqId, tracking)
        }),
      submitGroup: (group) =>
        reserve(state, {
          method: group.method,
          requestCount: group.requestCount,
          submit: (submission, tracking) => submitGroup(state, group, submission, tracking)
        })
    }
    return takeNext(state).pipe(
      Effect.flatMap((submission) => (state.breakage.isBroken ? submission.reject : submission.run)),
      Effect.forever,
      Effect.interruptible,
      Effect.forkIn(options.scope),
      Effect.as(queue)
    )
  })
