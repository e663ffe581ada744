/** Creates semaphores: the one place of this package that depends on where Effect keeps them. */
import * as Effect from "effect/Effect"

/** @internal */
export type Semaphore = Effect.Semaphore

/** @internal */
export const make: (permits: number) => Effect.Effect<Semaphore> = Effect.makeSemaphore

/** Runs effects one after another. @internal */
export type Mutex = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** @internal */
export const makeMutex: Effect.Effect<Mutex> = Effect.map(make(1), (semaphore) => semaphore.withPermits(1))
