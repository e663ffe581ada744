import type * as Future from "@effect-tinker/api/Future"
import type { ProtobufDecodeError } from "@effect-tinker/api/ProtobufCodec"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as QueueState from "../../QueueState.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as TinkerFuture from "../../TinkerFuture.ts"
import type * as limits from "../limits/sessionLimits.ts"
import * as observe from "../telemetry/observe.ts"
import * as progress from "../polling/progress.ts"
import { retrieve } from "../polling/retrieve.ts"

/** What the service answered to a request: a future, or, where it is known already, the result. @internal */
export type Sent<A> = { readonly request_id: string } | { readonly result: A }

/** @internal */
export interface Operation<A, I, B> {
  readonly method: string
  readonly type: Future.RequestType
  readonly schema: Schema.Schema<A, I>
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<A, ProtobufDecodeError>) | undefined
  /** whether the service's state is another without it, so that nothing may follow if it cannot be submitted */
  readonly changesTraining: boolean
  /** how many requests the operation takes */
  readonly count: number
  /** all but the first request at once, and then the first; else one after the other */
  readonly parallel?: boolean | undefined
  readonly bytes?: number | undefined
  readonly send: (
    seqId: number,
    index: number,
    running: observe.Running
  ) => Effect.Effect<Sent<A>, TinkerError.TinkerError>
  readonly combine: (results: ReadonlyArray<A>) => B
}

/** A turn that is held, with numbers that it has reserved. @internal */
export interface Turn {
  /** marks what the program does in the turn, so that it does not wait for its own end */
  readonly hold: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Submits now, and gives what brings the result. */
  readonly submit: <A, I, B>(
    operation: Operation<A, I, B>
  ) => Effect.Effect<Effect.Effect<B, TinkerError.TinkerError>, TinkerError.TinkerError>
}

/** @internal */
export interface Submissions {
  /** Reserves the operation's numbers and its place, and returns its future. It never waits. */
  readonly submit: <A, I, B>(
    operation: Operation<A, I, B>
  ) => Effect.Effect<TinkerFuture.TinkerFuture<B>, TinkerError.InvalidInput>
  /**
   * Reserves a place for several operations that belong together and depend on each other. Nothing else is submitted
   * until `run` has given what brings the result; numbers that it did not use go to what waits behind it.
   */
  readonly turn: <B, E>(options: {
    readonly method: string
    /** how many numbers to reserve */
    readonly count: number
    readonly bytes?: number | undefined
    readonly run: (
      turn: Turn
    ) => Effect.Effect<Effect.Effect<B, TinkerError.TinkerError | E>, TinkerError.TinkerError | E>
  }) => Effect.Effect<TinkerFuture.TinkerFuture<B, TinkerError.TinkerError | E>, TinkerError.InvalidInput>
}

interface Unit {
  readonly method: string
  first: number
  count: number
  readonly submit: (unit: Unit) => Effect.Effect<void>
  readonly refuse: Effect.Effect<void>
}

/** Whose turn it is in the fiber that asks: what it submits to the same client would wait for itself. @internal */
class HeldTurn extends Context.Reference<HeldTurn>()("@effect-tinker/client/internal/HeldTurn", {
  defaultValue: (): object | undefined => undefined
}) {}

// how long the end of a client waits for the rest of an operation that has been sent in part
const grace: Duration.DurationInput = "5 seconds"

// a definite no, as opposed to an answer that was lost
const isRefusal = (error: TinkerError.TinkerError) => "status" in error && error.status < 500 && !error.isRetryable

/**
 * The queue of one model. Numbers and places are reserved synchronously in call order; one fiber of the client's scope
 * submits, so that no caller's interruption can leave a gap or split an operation. When a request cannot be submitted,
 * the rest of its operation and all that come after fail with `ClientBroken`: they were not sent.
 *
 * @internal
 */
export const make = (options: {
  readonly client: TinkerClient.Service
  readonly scope: Scope.Scope
  readonly queueState: QueueState.Observer
  readonly limits: limits.Limits
  /** names the operations' spans and metrics, such as `TrainingClient` */
  readonly name: string
  readonly attributes: { readonly [name: string]: unknown }
}): Effect.Effect<Submissions> =>
  Effect.gen(function* () {
    const { client, limits, scope } = options
    const fiberId: FiberId.FiberId = yield* Effect.fiberId
    const inProgress = progress.make()
    const self = {}
    const waiting: Array<Unit> = []
    let wake: (() => void) | undefined
    let nextSeqId = 1
    let broken: { readonly operation: string; readonly seqId: number; readonly cause: unknown } | undefined

    const brokenFor = (method: string) =>
      new TinkerError.ClientBroken({
        method,
        operation: broken!.operation,
        seqId: broken!.seqId,
        cause: broken!.cause
      })

    // The client is broken unless the service's state is the same as if the request had not been made.
    const judge = (
      operation: Pick<Operation<never, never, never>, "method" | "changesTraining">,
      seqId: number,
      cause: Cause.Cause<TinkerError.TinkerError>
    ) => {
      const failure = Option.getOrUndefined(Cause.failureOption(cause))
      if (failure !== undefined && !operation.changesTraining && isRefusal(failure)) return
      broken ??= { operation: operation.method, seqId, cause: failure ?? Cause.squash(cause) }
    }

    const sendOne = <A, I, B>(
      operation: Operation<A, I, B>,
      seqId: number,
      index: number,
      running: observe.Running
    ): Effect.Effect<Sent<A>, TinkerError.TinkerError> =>
      Effect.suspend(() => operation.send(seqId, index, running)).pipe(
        RetryPolicy.retryUnreadable,
        Effect.tapErrorCause((cause) => Effect.sync(() => judge(operation, seqId, cause)))
      )

    // Requests of a pass that changes no training are all sent although one was refused: no number may be left out. What
    // has been sent in part is sent whole, within a bound, although the client ends.
    const sendAll = <A, I, B>(
      operation: Operation<A, I, B>,
      first: number,
      running: observe.Running
    ): Effect.Effect<ReadonlyArray<Sent<A>>, TinkerError.TinkerError> => {
      const { count } = operation
      if (count === 1) return Effect.map(sendOne(operation, first, 0, running), (sent) => [sent])
      const exits: Array<Exit.Exit<Sent<A>, TinkerError.TinkerError> | undefined> = []
      const send = (index: number) =>
        Effect.flatMap(Effect.exit(sendOne(operation, first + index, index, running)), (exit) => {
          exits[index] = exit
          return broken === undefined ? Effect.void : Effect.fail("broken" as const)
        })
      const indices = Array.from({ length: count }, (_, index) => index)
      const sending = Effect.ignore(
        operation.parallel === true
          ? Effect.zipRight(
              Effect.forEach(indices.slice(1), send, { concurrency: "unbounded", discard: true }),
              send(0)
            )
          : Effect.forEach(indices, send, { discard: true })
      )
      return Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.forkDaemon(Effect.interruptible(sending)), (fiber) =>
          restore(Fiber.join(fiber)).pipe(
            Effect.onInterrupt(() =>
              (exits.some((exit) => exit !== undefined && Exit.isSuccess(exit))
                ? Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), grace)
                : Effect.void
              ).pipe(Effect.zipRight(Fiber.interrupt(fiber)))
            )
          )
        )
      ).pipe(Effect.zipRight(Effect.suspend(() => Effect.all(exits.filter((exit) => exit !== undefined)))))
    }

    const results = <A, I, B>(
      operation: Operation<A, I, B>,
      sent: ReadonlyArray<Sent<A>>,
      running: observe.Running,
      noProgressLimit: Duration.DurationInput,
      roundtripSeconds: number
    ): Effect.Effect<B, TinkerError.TinkerError> => {
      const one = (answer: Sent<A>): Effect.Effect<A, TinkerError.TinkerError> =>
        "result" in answer
          ? Effect.succeed(answer.result)
          : retrieve(client, {
              method: operation.method,
              requestId: answer.request_id,
              type: operation.type,
              schema: operation.schema,
              protobuf: operation.protobuf,
              queue: options.queueState,
              responses: limits.responses,
              running,
              progress: inProgress,
              noProgressLimit,
              roundtripSeconds
            })
      const all =
        sent.length === 1
          ? Effect.map(one(sent[0]!), (result) => [result])
          : Effect.forEach(sent, one, { concurrency: "unbounded" })
      return Effect.map(all, operation.combine)
    }

    const submitNow = <A, I, B>(
      operation: Operation<A, I, B>,
      first: number,
      running: observe.Running,
      noProgressLimit: Duration.DurationInput
    ): Effect.Effect<Effect.Effect<B, TinkerError.TinkerError>, TinkerError.TinkerError> =>
      Effect.gen(function* () {
        const start = yield* Clock.currentTimeMillis
        const sent = yield* sendAll(operation, first, running)
        const took = (yield* Clock.currentTimeMillis) - start
        return results(operation, sent, running, noProgressLimit, took / 1000)
      })

    // numbers that were reserved and not used go to those who wait
    const giveBack = (unit: Unit, used: number) => {
      const unused = unit.count - used
      if (unused === 0) return
      unit.count = used
      for (const later of waiting) later.first -= unused
      nextSeqId -= unused
    }

    const take: Effect.Effect<Unit> = Effect.suspend(() => {
      if (waiting.length > 0) return Effect.succeed(waiting.shift()!)
      return Effect.zipRight(
        Effect.async<void>((resume) => {
          wake = () => {
            wake = undefined
            resume(Effect.void)
          }
          return Effect.sync(() => {
            wake = undefined
          })
        }),
        take
      )
    })

    yield* take.pipe(
      Effect.flatMap((unit) => (broken === undefined ? unit.submit(unit) : unit.refuse)),
      Effect.forever,
      Effect.interruptible,
      Effect.forkIn(scope)
    )

    const reserve = <B, E>(request: {
      readonly method: string
      readonly count: number
      readonly bytes: number | undefined
      readonly submit: (
        unit: Unit,
        running: observe.Running,
        noProgressLimit: Duration.DurationInput
      ) => Effect.Effect<Effect.Effect<B, TinkerError.TinkerError | E>, TinkerError.TinkerError | E>
    }): Effect.Effect<TinkerFuture.TinkerFuture<B, TinkerError.TinkerError | E>, TinkerError.InvalidInput> =>
      Effect.gen(function* () {
        if ((yield* HeldTurn) === self) {
          return yield* new TinkerError.InvalidInput({
            method: request.method,
            path: "loss",
            reason:
              "was submitted inside a loss of the same client, whose turn it would wait for: submit it before or after"
          })
        }
        const noProgressLimit = yield* TinkerFuture.NoProgressLimit
        const running = yield* observe.start(`${options.name}.${request.method}`, options.attributes)
        running.bytes = request.bytes ?? 0
        const accepted = Deferred.unsafeMake<
          Effect.Effect<B, TinkerError.TinkerError | E>,
          TinkerError.TinkerError | E
        >(fiberId)
        const unit: Unit = {
          method: request.method,
          first: nextSeqId,
          count: request.count,
          submit: (unit) =>
            request.submit(unit, running, noProgressLimit).pipe(
              Effect.withParentSpan(running.span),
              Effect.tap(() => Effect.sync(() => running.accepted())),
              Effect.exit,
              Effect.flatMap((exit) =>
                // not the end of the client, which would have ended this fiber
                Exit.isInterrupted(exit) && broken !== undefined
                  ? Deferred.fail(accepted, brokenFor(request.method))
                  : Deferred.done(accepted, exit)
              )
            ),
          refuse: Effect.suspend(() => Deferred.fail(accepted, brokenFor(request.method)))
        }
        nextSeqId += request.count
        waiting.push(unit)
        wake?.()
        const seqIds = () => Array.from({ length: unit.count }, (_, index) => unit.first + index)
        return yield* TinkerFuture.make<B, TinkerError.TinkerError | E>({
          method: request.method,
          seqIds,
          scope,
          run: Effect.flatten(Deferred.await(accepted)).pipe(
            Effect.withParentSpan(running.span),
            Effect.onExit((exit) => Effect.sync(() => running.end(exit, { "tinker.seq_ids": seqIds() })))
          )
        })
      }).pipe(Effect.annotateLogs(options.attributes), Effect.uninterruptible)

    return {
      submit: (operation) =>
        reserve({
          method: operation.method,
          count: operation.count,
          bytes: operation.bytes,
          submit: (unit, running, noProgressLimit) => submitNow(operation, unit.first, running, noProgressLimit)
        }),
      turn: <B, E>({ bytes, count, method, run }: Parameters<Submissions["turn"]>[0]) =>
        reserve<B, E>({
          method,
          count,
          bytes,
          submit: (unit, running, noProgressLimit) =>
            Effect.suspend(() => {
              let used = 0
              const turn: Turn = {
                hold: Effect.provideService(HeldTurn, self),
                submit: (operation) =>
                  Effect.suspend(() => {
                    const first = unit.first + used
                    used += operation.count
                    return submitNow(operation, first, running, noProgressLimit)
                  })
              }
              return (run(turn) as Effect.Effect<Effect.Effect<B, E>, E | TinkerError.TinkerError>).pipe(
                Effect.ensuring(Effect.sync(() => giveBack(unit, used)))
              )
            })
        })
    }
  })
