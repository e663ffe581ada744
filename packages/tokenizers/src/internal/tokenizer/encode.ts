/** Encodes texts and rendered chats to token ids. */
import * as Effect from "effect/Effect"
import type { AddedToken } from "../encoding/addedTokens.ts"
import type { Encoder, Options } from "../encoding/encoder.ts"
import { runAtOnce } from "../encoding/model.ts"
import { yieldToEventLoop } from "../util/macrotask.ts"
import type { EncodeOptions, Span } from "./model.ts"

const optionsOf = (options: EncodeOptions | undefined): Options => ({
  addSpecialTokens: options?.addSpecialTokens ?? true,
  counts: options?.splitSpecialTokens === true ? ({ special }) => !special : () => true,
  isUniform: () => true
})

/** @internal */
export const encode = (encoder: Encoder, text: string, options: EncodeOptions | undefined): ReadonlyArray<number> =>
  runAtOnce(encoder.encode(text, optionsOf(options)))

/** Runs steps, with pauses for timers and other fibers. The first steps run at once: most texts are short. */
const runWithPauses = <A>(steps: Generator<void, A>): Effect.Effect<A> => {
  const next: Effect.Effect<A> = Effect.suspend(() => {
    for (let i = 0; i < 2; i++) {
      const step = steps.next()
      if (step.done === true) return Effect.succeed(step.value)
    }
    return Effect.andThen(yieldToEventLoop, next)
  })
  return next
}

/** @internal */
export const encodeInSteps = (
  encoder: Encoder,
  text: string,
  options: EncodeOptions | undefined
): Effect.Effect<ReadonlyArray<number>> => Effect.suspend(() => runWithPauses(encoder.encode(text, optionsOf(options))))

/** Whether a part of a text overlaps one of some spans, which are in order. */
const overlaps = (spans: ReadonlyArray<Span>, start: number, end: number): boolean => {
  let [low, high] = [0, spans.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (spans[middle]!.end > start) high = middle
    else low = middle + 1
  }
  const found = spans[low]
  return found !== undefined && found.start < end
}

/** The parts of a text that are not in some spans. */
const between = (spans: ReadonlyArray<Span>, length: number): ReadonlyArray<Span> => {
  const ends = [0, ...spans.map(({ end }) => end)]
  return ends.map((start, i) => ({ start, end: spans[i]?.start ?? length })).filter(({ end, start }) => end > start)
}

/**
 * Encodes a rendered chat. In what came from messages, a token for which `isControl` holds is ordinary text.
 *
 * @internal
 */
export const encodeRendered = (
  encoder: Encoder,
  text: string,
  data: ReadonlyArray<Span>,
  isControl: (token: AddedToken) => boolean
): Effect.Effect<ReadonlyArray<number>> =>
  Effect.suspend(() => {
    const template = between(data, text.length)
    return runWithPauses(
      encoder.encode(text, {
        addSpecialTokens: false,
        counts: (token, start, end) => !isControl(token) || !overlaps(data, start, end),
        isUniform: (start, end) => !overlaps(data, start, end) || !overlaps(template, start, end)
      })
    )
  })
