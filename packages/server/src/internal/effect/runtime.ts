/** The parts of Effect's runtime that change with Effect 4, in one place. */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"

/** A deferred that is made outside of an effect. @internal */
export const makeDeferredUnsafe = <A, E = never>(): Deferred.Deferred<A, E> => Deferred.unsafeMake<A, E>(FiberId.none)

/** The time of a clock, in milliseconds since the epoch, outside of an effect. @internal */
export const currentMillisUnsafe = (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()

/** Runs a function on the span of the current fiber, if it has one. @internal */
export const withCurrentSpan = (use: (span: Tracer.AnySpan | undefined) => void): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) => {
    use(fiber.currentSpan)
    return Effect.void
  })

const setContext = (context: Context.Context<never>): Effect.Effect<void> =>
  FiberRef.set(FiberRef.currentContext, context)

/** `Effect.mapInputContext` in half of its operations, for what runs for every sample. @internal */
export const updateContext = <A, E, R, R0>(
  effect: Effect.Effect<A, E, R>,
  update: (context: Context.Context<R0>) => Context.Context<R>
): Effect.Effect<A, E, R0> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.contextWithEffect((before: Context.Context<R0>) => {
      const reset = setContext(before as Context.Context<never>)
      const updated = setContext(update(before) as Context.Context<never>)
      const run = Effect.matchCauseEffect(restore(effect as Effect.Effect<A, E>), {
        onFailure: (cause) => Effect.flatMap(reset, () => Exit.failCause(cause)),
        onSuccess: (value) => Effect.as(reset, value)
      })
      return Effect.flatMap(updated, () => run)
    })
  )

/** `updateContext` with a scope of its own for the effect, in fewer operations than `Effect.scoped`. @internal */
export const scopedIn = <A, E, R, R0>(
  effect: Effect.Effect<A, E, R>,
  update: (context: Context.Context<R0>) => Context.Context<R>
): Effect.Effect<A, E, Exclude<R0, Scope.Scope>> =>
  Effect.flatMap(Scope.make(), (scope) =>
    Effect.onExit(
      updateContext(effect, (context: Context.Context<Exclude<R0, Scope.Scope>>) =>
        update(Context.add(context, Scope.Scope, scope) as Context.Context<Scope.Scope> as Context.Context<R0>)
      ),
      (exit) => Scope.close(scope, exit)
    )
  )

/** `Effect.scoped` in fewer operations. @internal */
export const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  scopedIn(effect, (context: Context.Context<R>) => context)

/** Interrupts a fiber without waiting for its end. @internal */
export const interruptInBackground = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<void> => Fiber.interruptFork(fiber)

/**
 * Closes a scope in a fiber of its own, and waits for it. A finalizer runs with the fiber refs of the fiber that added it,
 * and the fiber that closes the scope keeps their history: the contexts of that fiber and of all that it descends from. One
 * that closes scopes for as long as a program runs, such as a client in the same process, would keep those of every scope.
 *
 * @internal
 */
export const closeApart = (scope: Scope.CloseableScope): Effect.Effect<void> =>
  Effect.flatMap(Effect.forkDaemon(Scope.close(scope, Exit.void)), (fiber) =>
    // joining it would inherit its fiber refs
    Effect.flatten(Fiber.await(fiber))
  )

/** The runtime of a service that was started without interruption would start its fibers without it, too. */
const forkInterruptible = <A, E>(effect: Effect.Effect<A, E>, scope: Scope.Scope) =>
  Effect.forkIn(Effect.interruptible(effect), scope)

/** Starts an effect in a fiber that ends with the service at the latest. @internal */
export type ForkApart = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<Fiber.RuntimeFiber<A, E>>

/**
 * Starts fibers with the refs of the current fiber, not with those of the fiber that asks for one. What outlives a request
 * is started so: a fiber that a request forks keeps the request, its response and its spans for as long as it runs.
 *
 * @internal
 */
export const makeForkApart = (scope: Scope.Scope): Effect.Effect<ForkApart> =>
  Effect.map(
    Effect.runtime<never>(),
    (runtime): ForkApart =>
      (effect) =>
        // not by the scope that `runFork` takes: one that is closed already would not interrupt the fiber
        Effect.suspend(() => Fiber.await(Runtime.runFork(runtime)(forkInterruptible(effect, scope)))).pipe(
          Effect.flatten,
          Effect.uninterruptible
        )
  )

/** Runs effects one after another. @internal */
export type Mutex = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** @internal */
export const makeMutex: Effect.Effect<Mutex> = Effect.map(Effect.makeSemaphore(1), (semaphore) =>
  semaphore.withPermits(1)
)
