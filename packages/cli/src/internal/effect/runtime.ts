/** Effects that start outside of an Effect: from callbacks, and at the top of the program. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"

/** Forks an effect from a callback. @internal */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => void

/** A `Fork` with the services, the references and the logger of the calling fiber. @internal */
export const makeFork: Effect.Effect<Fork> = Effect.map(Effect.runtime<never>(), (runtime) => (effect) => {
  Runtime.runFork(runtime)(effect)
})

/** The main program, as the handlers of signals see it. @internal */
export interface Main {
  readonly interrupt: () => void
}

/** Starts the main program. `onExit` is called once, when it has ended. @internal */
export const startMain = <A, E>(effect: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void): Main => {
  const fiber = Effect.runFork(effect)
  fiber.addObserver(onExit)
  return { interrupt: () => fiber.unsafeInterruptAsFork(fiber.id()) }
}

/** Runs an effect for a library that awaits promises. The promise rejects with the error itself. @internal */
export type RunPromise = <A, E>(effect: Effect.Effect<A, E>, signal: AbortSignal | undefined) => Promise<A>

/** A `RunPromise` with the references and the logger of the calling fiber. @internal */
export const makeRunPromise: Effect.Effect<RunPromise> = Effect.map(
  Effect.runtime<never>(),
  (runtime) => async (effect, signal) => {
    const exit = await Runtime.runPromiseExit(runtime)(effect, signal === undefined ? {} : { signal })
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.squash(exit.cause)
  }
)
