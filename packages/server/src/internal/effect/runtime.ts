/** The parts of Effect's runtime that change with Effect 4, in one place. */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"

/** A deferred that is made outside of an effect. @internal */
export const makeDeferredUnsafe = <A, E = never>(): Deferred.Deferred<A, E> => Deferred.unsafeMake<A, E>(FiberId.none)

/** The time of a clock, in milliseconds since the epoch, outside of an effect. @internal */
export const currentMillisUnsafe = (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()

/** Interrupts a fiber without waiting for its end. @internal */
export const interruptInBackground = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<void> => Fiber.interruptFork(fiber)

/** Runs effects one after another. @internal */
export type Mutex = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** @internal */
export const makeMutex: Effect.Effect<Mutex> = Effect.map(Effect.makeSemaphore(1), (semaphore) =>
  semaphore.withPermits(1)
)
