/** Shows the text of one sample while it is generated. The service returns whole samples, so this takes many requests. */
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

/** The number of tokens to request at a time. */
const tokensPerRequest = 16

/** The 32-bit finalizer of MurmurHash3. */
const mix = (value: number): number => {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/**
 * The seed of a request: the given one for the first, hashes of it for the others. With the numbers that follow the seed,
 * the samples of neighbouring seeds would share requests.
 * @internal
 */
export const seedOf = (seed: number, round: number): number => {
  if (round === 0) return seed
  const [low, high] = [seed | 0, Math.floor(seed / 2 ** 32) | 0]
  const key = mix(mix(low ^ 0x9e3779b9) + mix(high ^ 0x7f4a7c15))
  return mix(key ^ Math.imul(round, 0x9e3779b1)) & 0x7fffffff
}

/** Drops the end of a text that may still change: the bytes of one character can come in several tokens. */
const withoutPartialCharacter = (text: string): string => text.replace(/\uFFFD+$/, "")

/** @internal */
export const params = (options: Options, max_tokens: number, seed: number | undefined) => ({
  max_tokens,
  temperature: options.temperature,
  top_p: options.topP,
  top_k: options.topK,
  ...(seed === undefined ? {} : { seed }),
  ...(options.stop.length === 0 ? {} : { stop: [...options.stop] })
})

/** The text before the first stop sequence. @internal */
export const beforeStop = (stop: ReadonlyArray<string>, text: string): string =>
  stop.reduce((rest, sequence) => (rest.includes(sequence) ? rest.slice(0, rest.indexOf(sequence)) : rest), text)

/** Where the first stop sequence starts, not before `from`. */
const indexOfStop = (text: string, stop: ReadonlyArray<string>, from: number): number | undefined => {
  const found = stop.map((sequence) => text.indexOf(sequence, from)).filter((at) => at >= 0)
  return found.length === 0 ? undefined : Math.min(...found)
}

/**
 * Generates one text, and passes new characters to `onText`. Each request continues the prompt and the tokens so far: the
 * distribution is that of one request, at the cost of more prompt tokens.
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
    // the end of the text may turn out to be the start of a stop sequence
    const heldBack = Math.max(0, ...options.stop.map((text) => text.length - 1))
    const show = (text: string) =>
      Effect.suspend(() => {
        const more = text.slice(shown.length)
        shown += more
        return more === "" ? Effect.void : onText(more)
      })
    const decode = () => tokenizer.decode(tokens, { skipSpecialTokens: true })
    for (let round = 0; !stopped && tokens.length < options.maxTokens; round++) {
      const count = Math.min(tokensPerRequest, options.maxTokens - tokens.length)
      const seed = options.seed === undefined ? undefined : seedOf(options.seed, round)
      const { sequences } = yield* sampling.sample(ModelInput.fromTokens([...prompt, ...tokens]), {
        sampling_params: params(options, count, seed)
      })
      const [sequence] = sequences
      if (sequence === undefined) break
      tokens.push(...sequence.tokens)
      const text = decode()
      // a stop sequence may be spread over two requests
      const end = indexOfStop(text, options.stop, Math.max(0, shown.length - heldBack))
      if (end !== undefined) {
        yield* show(text.slice(0, end))
        return shown
      }
      stopped = sequence.stop_reason === "stop" || sequence.tokens.length < count
      const complete = withoutPartialCharacter(text)
      yield* show(stopped ? text : complete.slice(0, Math.max(shown.length, complete.length - heldBack)))
    }
    yield* show(decode())
    return shown
  })
