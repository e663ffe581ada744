/**
 * The result of a submitted operation. A future is a `Fiber`, so `Fiber.join`, `Fiber.await` and `Fiber.poll` work on it. Any
 * number of fibers may join it, any number of times.
 *
 * ```ts
 * const forward = yield* training.forwardBackward(batch, "cross_entropy")
 * const update = yield* training.optimStep({ learning_rate: 1e-3 })
 * const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
 * ```
 *
 * Interrupting a fiber that joins a future only ends that wait:
 *
 * ```ts
 * yield* Fiber.join(forward).pipe(Effect.timeoutOption("10 seconds")) // the future goes on, and may be joined again
 * yield* TinkerFuture.abandon(forward) // for everyone: whoever joins it now fails with ClientClosed
 * ```
 *
 * `Fiber.interrupt(forward)` is the same as `abandon`, and is easily meant for the wait alone. Neither cancels the
 * operation, which keeps its place in the queue and is sent to the service.
 *
 * @since 0.1.0
 */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { DurationInput } from "./internal/util/duration.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface TinkerFuture<out A, out E = TinkerError.TinkerError> extends Fiber.Fiber<A, E> {
  /** the operation, such as `forwardBackward` */
  readonly method: string
  /**
   * The sequence numbers of the operation's requests; more than one if a batch was split into chunks. The numbers of an
   * operation decrease if one before it leaves some unused, such as a custom loss that fails; one that is not sent has none.
   */
  readonly seqIds: ReadonlyArray<number>
}

/**
 * Forks the wait for a result in a scope, and adds the fields of a future to the fiber. If the scope closes first, the
 * future fails with `ClientClosed`; fibers that join it are not interrupted.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, E>(options: {
  readonly method: string
  readonly seqIds: () => ReadonlyArray<number>
  readonly scope: Scope.Scope
  readonly run: Effect.Effect<A, E>
  /** called when a fiber has received the failure of the future */
  readonly onFailureSeen?: (() => void) | undefined
}): Effect.Effect<TinkerFuture<A, E | TinkerError.ClientClosed>> =>
  Effect.interruptible(options.run).pipe(
    Effect.catchAllCause((cause) =>
      Effect.failCause<E | TinkerError.ClientClosed>(
        Cause.isInterrupted(cause) ? Cause.fail(new TinkerError.ClientClosed({ method: options.method })) : cause
      )
    ),
    Effect.forkIn(options.scope),
    Effect.map((fiber) => withFields(fiber, options)),
    // Only the wait is interruptible: the fiber ends with an error and not as interrupted.
    Effect.uninterruptible
  )

/** Turns a fiber into a future. */
const withFields = <A, E>(
  fiber: Fiber.Fiber<A, E>,
  options: {
    readonly method: string
    readonly seqIds: () => ReadonlyArray<number>
    readonly onFailureSeen?: (() => void) | undefined
  }
): TinkerFuture<A, E> => {
  const { method, onFailureSeen, seqIds } = options
  return Object.defineProperties(fiber, {
    method: { value: method },
    seqIds: { get: seqIds },
    // A join leaves the FiberRefs of its own fiber as they are: the operation does not run in the caller's context.
    inheritAll: { value: Effect.void },
    ...(onFailureSeen === undefined ? {} : observed(fiber, onFailureSeen))
  }) as TinkerFuture<A, E>
}

/** The ways to receive an exit, which report a failure. */
const observed = <A, E>(fiber: Fiber.Fiber<A, E>, onFailureSeen: () => void): PropertyDescriptorMap => {
  const report = (exit: Exit.Exit<A, E>) => {
    if (Exit.isFailure(exit)) onFailureSeen()
  }
  return {
    await: { value: Effect.tap(fiber.await, (exit) => Effect.sync(() => report(exit))) },
    poll: { value: Effect.tap(fiber.poll, (exit) => Effect.sync(() => Option.map(exit, report))) }
  }
}

/**
 * How long an operation waits while none of its client's operations makes progress. It then fails with `NoProgress`, which
 * carries the state of the service's queue. The limit is read when an operation is called.
 *
 * @since 0.1.0
 * @category references
 */
export class NoProgressLimit extends Context.Reference<NoProgressLimit>()(
  "@effect-tinker/client/TinkerFuture/NoProgressLimit",
  { defaultValue: (): DurationInput => "2 hours" }
) {}

/**
 * Sets the limit for the operations that are called in an effect.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withNoProgressLimit: {
  (limit: DurationInput): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, limit: DurationInput): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, limit: DurationInput) =>
  Effect.provideService(self, NoProgressLimit, limit)
)

/**
 * Discards the result of a future, for every fiber that joins it: they fail with `ClientClosed`. The operation itself keeps
 * its place in the queue, and is applied. To end only one's own wait, interrupt the fiber that waits.
 *
 * @since 0.1.0
 * @category interruption
 */
export const abandon = <A, E>(self: TinkerFuture<A, E>): Effect.Effect<void> => Effect.asVoid(Fiber.interrupt(self))
