/** Lets others have their turn in the middle of operations that an engine computes together. */
import * as Effect from "effect/Effect"

/** As in `Engine`. */
interface Turn {
  readonly yield: (tokens: number) => Effect.Effect<void>
  readonly yieldTogether?: ((parts: Parts) => Effect.Effect<void>) | undefined
}

type Parts = ReadonlyArray<readonly [turn: Turn, tokens: number]>

/** `Engine.yieldTurns`: by the way of the first turn, or each by itself. @internal */
export const yieldTurns = (parts: Parts): Effect.Effect<void> =>
  Effect.suspend(() => {
    const together = parts[0]?.[0].yieldTogether
    if (together !== undefined) return together(parts)
    return Effect.forEach(parts, ([turn, tokens]) => turn.yield(tokens), { concurrency: "unbounded", discard: true })
  })
