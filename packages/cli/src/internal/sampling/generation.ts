/** The text of samples: whole, or shown while it is sampled. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as SampleStream from "@effect-tinker/client/SampleStream"
import * as TextReader from "@effect-tinker/tokenizers/TextReader"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** @internal */
export interface Options {
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly seed: number | undefined
  readonly stop: ReadonlyArray<string>
}

/** @internal */
export const params = (options: Options) => ({
  max_tokens: options.maxTokens,
  temperature: options.temperature,
  top_p: options.topP,
  top_k: options.topK,
  ...(options.seed === undefined ? {} : { seed: options.seed }),
  ...(options.stop.length === 0 ? {} : { stop: [...options.stop] })
})

/** The text of a sample, up to the first stop sequence. @internal */
export const textOf = (tokenizer: Tokenizer.Service, stop: ReadonlyArray<string>, tokens: Iterable<number>): string => {
  const reader = TextReader.make((some) => tokenizer.decode(some, { skipSpecialTokens: true }), { stop })
  return reader.push(tokens) + reader.end()
}

/** Generates one text, and passes new characters to `onText`. @internal */
export const stream = <E, R>(
  sampling: SamplingClient.SamplingClient,
  tokenizer: Tokenizer.Service,
  prompt: ReadonlyArray<number>,
  options: Options,
  onText: (text: string) => Effect.Effect<void, E, R>
) =>
  Effect.map(
    sampling.stream(ModelInput.fromTokens(prompt), { sampling_params: params(options) }).pipe(
      SampleStream.text(tokenizer, { stop: options.stop }),
      Stream.map(({ text }) => text),
      Stream.filter((text) => text !== ""),
      Stream.tap(onText),
      Stream.runCollect
    ),
    (pieces) => Array.from(pieces).join("")
  )
