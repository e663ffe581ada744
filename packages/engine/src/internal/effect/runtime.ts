/** The parts of Effect's runtime that change with Effect 4, in one place. */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"

/** Runs one effect at a time, in the order of arrival. @internal */
export interface Lock {
  readonly withLock: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * A lock that is handed to whoever has waited longest. One fiber that takes it again and again, as with a semaphore of
 * Effect, would leave none to others.
 *
 * @internal
 */
export const makeLock: Effect.Effect<Lock> = Effect.sync(() => {
  const waiting: Array<() => void> = []
  let isHeld = false
  const release = () => {
    const next = waiting.shift()
    if (next === undefined) isHeld = false
    else next()
  }
  const acquire = Effect.async<void>((resume) => {
    let isGranted = false
    const grant = () => {
      isGranted = true
      resume(Effect.void)
    }
    if (isHeld) waiting.push(grant)
    else {
      isHeld = true
      grant()
    }
    // an interruption may arrive after the lock was handed over
    return Effect.sync(() => {
      if (isGranted) release()
      else waiting.splice(waiting.indexOf(grant), 1)
    })
  })
  return {
    withLock: (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.andThen(restore(acquire), Effect.ensuring(restore(effect), Effect.sync(release)))
      )
  }
})

/** Interrupts a fiber from a callback, without waiting for it to end. @internal */
export const interruptUnsafe = (fiber: Fiber.RuntimeFiber<unknown, unknown>): void =>
  fiber.unsafeInterruptAsFork(fiber.id())

/** The time of a clock, in milliseconds since the epoch, outside of an effect. @internal */
export const currentMillisUnsafe = (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()

/** Completes a deferred from a callback. A deferred that is already complete does not change. @internal */
export const completeUnsafe = <A, E>(deferred: Deferred.Deferred<A, E>, effect: Effect.Effect<A, E>): void =>
  Deferred.unsafeDone(deferred, effect)

/** A function that forks effects from callbacks, with the context and the FiberRefs of the current fiber. @internal */
export const forkFromCallbacks: Effect.Effect<(effect: Effect.Effect<unknown>) => void> = Effect.map(
  Effect.runtime(),
  (runtime) => (effect) => {
    Runtime.runFork(runtime)(effect)
  }
)

/** Fibers by number, which callbacks start and interrupt. */
interface Fibers<E> {
  readonly fork: (id: number, effect: Effect.Effect<unknown, E>) => void
  /** Interrupts a fiber without waiting for it to end. */
  readonly interrupt: (id: number) => void
}

/** Fibers that end with the scope. @internal */
export const makeFibers = <E>(): Effect.Effect<Fibers<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fibers = yield* FiberMap.make<number, unknown, E>()
    const run = yield* FiberMap.runtime(fibers)()
    return {
      fork: (id, effect) => void run(id, effect),
      interrupt: (id) => {
        const fiber = FiberMap.unsafeGet(fibers, id)
        if (Option.isSome(fiber)) fiber.value.unsafeInterruptAsFork(fiber.value.id())
      }
    }
  })
