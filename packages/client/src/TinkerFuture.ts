/**
 * The result of a submitted operation, as a `Fiber`: `Fiber.join`, `Fiber.zip` and `Fiber.all` work on it. It may be
 * awaited any number of times, by any number of fibers; a waiter that is interrupted only stops waiting.
 *
 * ```ts
 * const forward = yield* training.forwardBackward(batch, "cross_entropy")
 * const update = yield* training.optimStep({ learning_rate: 1e-3 })
 * const [output] = yield* Fiber.join(Fiber.zip(forward, update))
 * ```
 *
 * @since 0.1.0
 */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("~@effect-tinker/client/TinkerFuture")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * @since 0.1.0
 * @category models
 */
export interface TinkerFuture<out A, out E = TinkerError.TinkerError> extends Fiber.Fiber<A, E> {
  readonly [TypeId]: TypeId
  /** the operation, such as `forwardBackward` */
  readonly method: string
  /**
   * The operation's sequence numbers; more than one where a batch was cut into chunks. Those of an operation that waits
   * behind a custom loss move up when that loss fails.
   */
  readonly seqIds: ReadonlyArray<number>
}

class FutureImpl<A, E> extends Effectable.Class<A, E> {
  readonly [TypeId]: TypeId = TypeId
  readonly [Fiber.FiberTypeId] = { _E: (_: never) => _, _A: (_: never) => _ }
  readonly method: string
  readonly #seqIds: () => ReadonlyArray<number>
  readonly #fiber: Fiber.RuntimeFiber<A, E>
  readonly #result: Deferred.Deferred<A, E>

  constructor(
    method: string,
    seqIds: () => ReadonlyArray<number>,
    fiber: Fiber.RuntimeFiber<A, E>,
    result: Deferred.Deferred<A, E>
  ) {
    super()
    this.method = method
    this.#seqIds = seqIds
    this.#fiber = fiber
    this.#result = result
  }
  get seqIds() {
    return this.#seqIds()
  }
  commit() {
    return Deferred.await(this.#result)
  }
  id(): FiberId.FiberId {
    return this.#fiber.id()
  }
  get await() {
    return Effect.exit(Deferred.await(this.#result))
  }
  get children() {
    return this.#fiber.children
  }
  // the program's own references stay as they are: the operation ran elsewhere
  readonly inheritAll = Effect.void
  get poll() {
    return Effect.flatMap(Deferred.poll(this.#result), (found) =>
      Option.match(found, {
        onNone: () => Effect.succeedNone,
        onSome: (result) => Effect.asSome(Effect.exit(result))
      })
    )
  }
  // gives up the result, not the operation, which is on its way or done
  interruptAsFork(fiberId: FiberId.FiberId) {
    return this.#fiber.interruptAsFork(fiberId)
  }
}

/**
 * @since 0.1.0
 * @category guards
 */
export const isTinkerFuture = (u: unknown): u is TinkerFuture<unknown, unknown> =>
  typeof u === "object" && u !== null && TypeId in u

/**
 * Runs what brings the result in a scope. If that ends first, waiters fail with `ClientClosed`; they are never
 * interrupted with it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, E>(options: {
  readonly method: string
  readonly seqIds: () => ReadonlyArray<number>
  readonly scope: Scope.Scope
  readonly run: Effect.Effect<A, E>
}): Effect.Effect<TinkerFuture<A, E | TinkerError.ClientClosed>> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const result = yield* Deferred.make<A, E | TinkerError.ClientClosed>()
      const settle = (exit: Exit.Exit<A, E>) =>
        Exit.isFailure(exit) && Cause.isInterrupted(exit.cause)
          ? Deferred.fail(result, new TinkerError.ClientClosed({ method: options.method }))
          : Deferred.done(result, exit)
      const fiber = yield* Effect.interruptible(options.run).pipe(Effect.onExit(settle), Effect.forkIn(options.scope))
      return new FutureImpl(options.method, options.seqIds, fiber, result) as unknown as TinkerFuture<
        A,
        E | TinkerError.ClientClosed
      >
    })
  )

/**
 * How long an operation waits while nothing of its client gets on, neither itself nor any other. It then fails with
 * `NoProgress`, which says what the queue was waiting for. It is read when an operation is called.
 *
 * @since 0.1.0
 * @category references
 */
export class NoProgressLimit extends Context.Reference<NoProgressLimit>()(
  "@effect-tinker/client/TinkerFuture/NoProgressLimit",
  { defaultValue: (): Duration.DurationInput => "2 hours" }
) {}

/**
 * Waits for longer, or less long, in an effect.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withNoProgressLimit: {
  (limit: Duration.DurationInput): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, limit: Duration.DurationInput): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, limit: Duration.DurationInput) =>
  Effect.provideService(self, NoProgressLimit, limit)
)
