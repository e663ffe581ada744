/** The turns of calls in the thread: the caller's thread knows who else waits. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import { currentMillisUnsafe } from "../effect/runtime.ts"

interface RemoteTurns {
  /** The turn of a call. */
  readonly of: (call: number) => Engine.Turn
  /** Continues the calls of a question. */
  readonly resume: (id: number) => void
}

/** Asking takes a message there and one back, so parts that take less are joined. */
const minMillis = 20

/** What was computed for a call since it let others have their turn. */
interface Progress {
  readonly call: number
  since: number
  tokens: number
}

/** @internal */
export const makeTurns = (
  ask: (id: number, parts: ReadonlyArray<readonly [call: number, tokens: number]>) => void
): Effect.Effect<RemoteTurns> =>
  Effect.map(Effect.clock, (clock) => {
    const waiting = new Map<number, () => void>()
    const progressOf = new WeakMap<Engine.Turn, Progress>()
    let lastId = 0
    const awaitTurns = (all: ReadonlyArray<Progress>) =>
      Effect.async<void>((resume) => {
        const id = (lastId += 1)
        waiting.set(id, () => resume(Effect.void))
        ask(
          id,
          all.map(({ call, tokens }) => [call, tokens])
        )
        for (const progress of all) progress.tokens = 0
        return Effect.sync(() => waiting.delete(id))
      })
    const yieldTogether = (parts: ReadonlyArray<readonly [turn: Engine.Turn, tokens: number]>): Effect.Effect<void> =>
      Effect.suspend(() => {
        const all = parts.map(([turn, tokens]) => {
          const progress = progressOf.get(turn)!
          progress.tokens += tokens
          return progress
        })
        const oldest = Math.min(...all.map(({ since }) => since))
        if (currentMillisUnsafe(clock) - oldest < minMillis) return Effect.void
        return Effect.map(awaitTurns(all), () => {
          for (const progress of all) progress.since = currentMillisUnsafe(clock)
        })
      })
    return {
      of: (call) => {
        const turn: Engine.Turn = { yield: (tokens) => yieldTogether([[turn, tokens]]), yieldTogether }
        progressOf.set(turn, { call, since: currentMillisUnsafe(clock), tokens: 0 })
        return turn
      },
      resume: (id) => {
        const resume = waiting.get(id)
        waiting.delete(id)
        resume?.()
      }
    }
  })
