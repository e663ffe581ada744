/**
 * Samples that are read while they are sampled: `SamplingClient.stream` brings tokens, and `text` their text.
 *
 * ```ts
 * const text = sampling.stream(prompt, { sampling_params: { max_tokens: 64, stop: ["\n"] } }).pipe(
 *   SampleStream.text(tokenizer, { stop: ["\n"] })
 * )
 * yield* Stream.runForEach(text, (delta) => Console.log(delta.text))
 * ```
 *
 * @since 0.1.0
 */
import * as TextReader from "@effect-tinker/tokenizers/TextReader"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Stream from "effect/Stream"
import type { Delta } from "./internal/sampling/streamOptions.ts"

export type { Delta, StreamOptions } from "./internal/sampling/streamOptions.ts"

/**
 * A piece with its text. The texts, joined, are the text of the response: no piece ends in the middle of a character, or
 * shows a part of a stop sequence. A text can therefore come later than its tokens.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextDelta extends Delta {
  readonly text: string
}

const noTokens = new Int32Array(0)

/**
 * Adds the text to the pieces of a sample. It ends before a stop sequence, also where the service does not look for it;
 * the rest of the sample is then not read, which ends it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const text =
  (tokenizer: Pick<Tokenizer.Service, "decode">, options: TextReader.Options = {}) =>
  <E, R>(self: Stream.Stream<Delta, E, R>): Stream.Stream<TextDelta, E, R> =>
    Stream.suspend(() => {
      const reader = TextReader.make((tokens) => tokenizer.decode(tokens, { skipSpecialTokens: true }), options)
      let hasEnded = false
      // pieces may come several at a time, so that what is last is a matter of the piece
      const read = (delta: Delta): readonly [delta: TextDelta, isLast: boolean] => {
        const piece = reader.push(delta.tokens)
        const isEnd = delta.stop_reason !== undefined
        const text = isEnd ? piece + reader.end() : piece
        hasEnded ||= isEnd || reader.isStopped()
        return [{ ...delta, ...(reader.isStopped() ? { stop_reason: "stop" } : {}), text }, hasEnded]
      }
      const rest = Stream.suspend(() => {
        const left = hasEnded ? "" : reader.end()
        return left === "" ? Stream.empty : Stream.succeed<TextDelta>({ tokens: noTokens, text: left })
      })
      const pieces = Stream.takeUntil(Stream.map(self, read), ([, isLast]) => isLast)
      return Stream.concat(
        Stream.map(pieces, ([delta]) => delta),
        rest
      )
    })
