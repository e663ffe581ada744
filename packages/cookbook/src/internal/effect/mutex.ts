/** Runs effects one after another, or so many at once. Effect 4 makes semaphores in another way. */
import * as Effect from "effect/Effect"

/** @internal */
export type Mutex = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** @internal */
export const makeMutex: Effect.Effect<Mutex> = Effect.map(Effect.makeSemaphore(1), (semaphore) =>
  semaphore.withPermits(1)
)

/** Runs so many effects at once. @internal */
export const makeSlots = (count: number): Effect.Effect<Mutex> =>
  Effect.map(Effect.makeSemaphore(count), (semaphore) => semaphore.withPermits(1))
