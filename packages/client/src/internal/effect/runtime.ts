/** Effect's runtime internals that the client uses: the caller's fiber, and fibers that are forked from callbacks. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import type * as MetricLabel from "effect/MetricLabel"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"

/** The fiber that called an operation. Work that callbacks do for it runs with its context and its FiberRefs. @internal */
export type Caller = Fiber.RuntimeFiber<unknown, unknown>

/** @internal */
export const withCaller = <A, E, R>(use: (caller: Caller) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => use(fiber as Caller))

/** The value of a reference in the caller's context. @internal */
export const reference = <Self, A>(caller: Caller, tag: Context.Reference<Self, A>): A =>
  Context.get(caller.currentContext, tag)

/** @internal */
export const clockOf = (caller: Caller): Clock.Clock => Context.get(caller.currentDefaultServices, Clock.Clock)

/** @internal */
export const metricLabelsOf = (caller: Caller): ReadonlyArray<MetricLabel.MetricLabel> =>
  caller.getFiberRef(FiberRef.currentMetricLabels)

/** The caller's context, with `span` as the parent of the spans that are made in it. @internal */
export const contextWithSpan = (caller: Caller, span: Tracer.AnySpan | undefined): Context.Context<never> =>
  span === undefined ? caller.currentContext : Context.add(caller.currentContext, Tracer.ParentSpan, span)

/** The caller's current span. @internal */
export const parentSpanOf = (caller: Caller): Tracer.AnySpan | undefined => caller.currentSpan

/** A fiber that a callback has forked. @internal */
export interface Forked {
  /** Interrupts the fiber without waiting for it. */
  readonly interrupt: () => void
}

/**
 * Forks an effect with the caller's FiberRefs. It starts after `fork` has returned, by the caller's scheduler, and
 * `onExit` is called once at its end.
 *
 * @internal
 */
export const fork = <A, E>(
  caller: Caller,
  context: Context.Context<never>,
  effect: Effect.Effect<A, E>,
  onExit: (exit: Exit.Exit<A, E>) => void
): Forked => {
  const runtime = Runtime.make({
    context,
    // not the caller's: `interrupt` works also where the caller itself cannot be interrupted
    runtimeFlags: Runtime.defaultRuntimeFlags,
    fiberRefs: caller.getFiberRefs()
  })
  const fiber = Runtime.runFork(runtime, effect, { immediate: false })
  fiber.addObserver(onExit)
  return { interrupt: () => fiber.unsafeInterruptAsFork(fiber.id()) }
}

/** Takes random numbers that are not the caller's: those of the process, which no seed decides. @internal */
export const withRandomOfProcess: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =
  Effect.withRandom(Context.get(DefaultServices.liveServices, Random.Random))

/** Changes a FiberRef of the fiber that runs it. @internal */
export const updateFiberRef: <A>(ref: FiberRef.FiberRef<A>, update: (value: A) => A) => Effect.Effect<void> =
  FiberRef.update

/** @internal */
export const makeSemaphore: (permits: number) => Effect.Effect<Effect.Semaphore> = Effect.makeSemaphore

/** @internal */
export const makeDeferred = <A, E>(): Deferred.Deferred<A, E> => Deferred.unsafeMake(FiberId.none)

/** Completes a deferred from a callback. @internal */
export const completeDeferred = <A, E>(deferred: Deferred.Deferred<A, E>, result: Effect.Effect<A, E>): void =>
  Deferred.unsafeDone(deferred, result)

/** A stream for platforms, which runs with the caller's context. @internal */
export const toAsyncIterable = <A, E>(stream: Stream.Stream<A, E>): Effect.Effect<AsyncIterable<A>> =>
  Effect.map(Effect.runtime<never>(), (runtime) => Stream.toAsyncIterableRuntime(stream, runtime))
