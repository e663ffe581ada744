/** What Ctrl-C does: it ends the command, unless the command has something to finish first. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Fork } from "../effect/runtime.ts"
import * as runtime from "../effect/runtime.ts"

/** The handler of SIGINT, as `bin.ts` sees it. @internal */
export interface Interrupts {
  /** Hands the signal to the command, if it takes it. A command takes one signal; the next ends it. */
  readonly handle: () => boolean
  /** whether the command has taken a signal */
  readonly wasTaken: () => boolean
  /** Runs an effect at the first signal, in place of the end of the command, until the scope closes. */
  readonly take: (effect: Effect.Effect<unknown>) => Effect.Effect<void, never, Scope.Scope>
}

/** @internal */
export const make = (): Interrupts => {
  let current: (() => void) | undefined
  let wasTaken = false
  const set = (effect: Effect.Effect<unknown>, fork: Fork) => {
    current = () => fork(effect)
  }
  return {
    handle: () => {
      if (current === undefined || wasTaken) return false
      wasTaken = true
      current()
      return true
    },
    wasTaken: () => wasTaken,
    take: (effect) =>
      Effect.acquireRelease(
        Effect.map(runtime.makeFork, (fork) => set(effect, fork)),
        () =>
          Effect.sync(() => {
            current = undefined
          })
      )
  }
}
