/** The turns of calls in the thread: the caller's thread knows who else waits. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import { currentMillisUnsafe } from "../effect/runtime.ts"

interface RemoteTurns {
  readonly of: (id: number) => Engine.Turn
  /** Continues a call that has let others have their turn. */
  readonly resume: (id: number) => void
}

/** Asking takes a message there and one back, so parts that take less are joined. */
const minMillis = 20

/** @internal */
export const makeTurns = (ask: (id: number, tokens: number) => void): Effect.Effect<RemoteTurns> =>
  Effect.map(Effect.clock, (clock) => {
    const waiting = new Map<number, () => void>()
    const awaitTurn = (id: number, tokens: number) =>
      Effect.async<void>((resume) => {
        waiting.set(id, () => resume(Effect.void))
        ask(id, tokens)
        return Effect.sync(() => waiting.delete(id))
      })
    return {
      of: (id) => {
        let since = currentMillisUnsafe(clock)
        let computed = 0
        return {
          yield: (tokens) =>
            Effect.suspend(() => {
              computed += tokens
              if (currentMillisUnsafe(clock) - since < minMillis) return Effect.void
              const reported = computed
              computed = 0
              return Effect.map(awaitTurn(id, reported), () => {
                since = currentMillisUnsafe(clock)
              })
            })
        }
      },
      resume: (id) => {
        const resume = waiting.get(id)
        waiting.delete(id)
        resume?.()
      }
    }
  })
