import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"

/** @internal */
export interface Options {
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly seed: number | undefined
  readonly stop: ReadonlyArray<string>
}

/** How many tokens are asked for at a time where the text is shown as it comes. */
const piece = 16

/** The text as far as it cannot change any more: the bytes of a character may come in several tokens. */
const settled = (text: string): string => text.replace(/\uFFFD+$/, "")

/** @internal */
export const params = (options: Options, max_tokens: number, seed: number | undefined) => ({
  max_tokens,
  temperature: options.temperature,
  top_p: options.topP,
  top_k: options.topK,
  ...(seed === undefined ? {} : { seed }),
  ...(options.stop.length === 0 ? {} : { stop: [...options.stop] })
})

/**
 * One text, told as it comes. The service answers whole samples alone, so a few tokens are asked for at a time, each time
 * with all that came before: the same distribution, for more prompt tokens.
 * @internal
 */
export const stream = <E, R>(
  sampling: SamplingClient.SamplingClient,
  tokenizer: Tokenizer.Service,
  prompt: ReadonlyArray<number>,
  options: Options,
  onText: (text: string) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    const tokens: Array<number> = []
    let shown = ""
    let stopped = false
    // what may still become a stop text is held back
    const longest = Math.max(0, ...options.stop.map((text) => text.length - 1))
    const show = (text: string) =>
      Effect.suspend(() => {
        const more = text.slice(shown.length)
        shown += more
        return more === "" ? Effect.void : onText(more)
      })
    const textOf = () => tokenizer.decode(tokens, { skipSpecialTokens: true })
    for (let round = 0; !stopped && tokens.length < options.maxTokens; round++) {
      const left = Math.min(piece, options.maxTokens - tokens.length)
      const seed = options.seed === undefined ? undefined : options.seed + round
      const { sequences } = yield* sampling.sample(ModelInput.fromTokens([...prompt, ...tokens]), {
        sampling_params: params(options, left, seed)
      })
      const [sequence] = sequences
      if (sequence === undefined) break
      tokens.push(...sequence.tokens)
      const text = textOf()
      // a stop text may have come in two pieces
      const ends = options.stop
        .map((stop) => text.indexOf(stop, Math.max(0, shown.length - longest)))
        .filter((at) => at >= 0)
      if (ends.length > 0) {
        yield* show(text.slice(0, Math.min(...ends)))
        return { text: shown, tokens, stopReason: "stop" as const }
      }
      stopped = sequence.stop_reason === "stop" || sequence.tokens.length < left
      yield* show(stopped ? text : settled(text).slice(0, Math.max(shown.length, settled(text).length - longest)))
    }
    yield* show(textOf())
    return { text: shown, tokens, stopReason: stopped ? ("stop" as const) : ("length" as const) }
  })
