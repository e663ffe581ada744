/**
 * What a model reads: a sequence of chunks of text, images and audio.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import {
  Chunk,
  type DmelChunk,
  type EncodedTextChunk,
  type ImageAssetPointerChunk,
  type ImageChunk
} from "./internal/modelInput/chunks.ts"
import * as lengths from "./internal/modelInput/length.ts"
import * as containerHeader from "./internal/tensor/containerHeader.ts"
import * as typedArrays from "./internal/tensor/typedArrays.ts"

export * from "./internal/modelInput/chunks.ts"

/**
 * A sequence of chunks.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ModelInput = Schema.Struct({ chunks: Schema.Array(Chunk) })

/**
 * @since 0.1.0
 * @category models
 */
export type ModelInput = typeof ModelInput.Type

/**
 * A model input that consists of text only.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextInput {
  readonly chunks: ReadonlyArray<EncodedTextChunk>
}

const tokensOf = (tokens: ArrayLike<number>): Int32Array => {
  const data = tokens instanceof Int32Array ? tokens : typedArrays.toInt32(tokens)
  if (typeof data === "number") throw new RangeError(`tokens[${data}] is ${tokens[data]}, not a token id`)
  return data
}

/**
 * A chunk of text. An `Int32Array` is kept, not copied.
 *
 * @throws RangeError when a value is not a 32-bit integer.
 * @since 0.1.0
 * @category constructors
 */
export const text = (tokens: ArrayLike<number>): EncodedTextChunk => ({
  type: "encoded_text",
  tokens: tokensOf(tokens)
})

/**
 * A chunk that is an image. Without `expected_tokens`, only the service knows its length.
 *
 * @since 0.1.0
 * @category constructors
 */
export const image = (options: Omit<ImageChunk, "type">): ImageChunk => ({ type: "image", ...options })

/**
 * A chunk that points to an image.
 *
 * @since 0.1.0
 * @category constructors
 */
export const imageAssetPointer = (options: Omit<ImageAssetPointerChunk, "type">): ImageAssetPointerChunk => ({
  type: "image_asset_pointer",
  ...options
})

/**
 * A chunk of audio from a serialized tensor.
 *
 * @since 0.1.0
 * @category constructors
 */
export const dmel = (bytes: Uint8Array): DmelChunk => ({ type: "dmel", dmel: bytes })

/**
 * One chunk of text from token ids. An `Int32Array` is kept, not copied.
 *
 * @throws RangeError when a value is not a 32-bit integer.
 * @since 0.1.0
 * @category constructors
 */
export const fromTokens = (tokens: ArrayLike<number>): ModelInput => ({ chunks: [text(tokens)] })

/**
 * One chunk of text, encoded by a tokenizer, including the special tokens that it adds to every text, such as the
 * beginning-of-sequence token.
 *
 * @throws RangeError when the tokenizer returns something that is not a token id.
 * @since 0.1.0
 * @category constructors
 */
export const fromText = (
  tokenizer: { readonly encode: (text: string) => ArrayLike<number> },
  text: string
): ModelInput => fromTokens(tokenizer.encode(text))

/**
 * An input of the given chunks.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (...chunks: ReadonlyArray<Chunk>): ModelInput => ({ chunks })

/**
 * An input without chunks.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: ModelInput = { chunks: [] }

/**
 * Appends a chunk.
 *
 * @since 0.1.0
 * @category combinators
 */
export const append = (self: ModelInput, chunk: Chunk): ModelInput => ({ chunks: [...self.chunks, chunk] })

/**
 * The shape of a serialized tensor, read from its header; on the left, what is wrong with the header.
 *
 * @since 0.1.0
 * @category getters
 */
export const containerShape = (bytes: Uint8Array): Either.Either<ReadonlyArray<number>, string> => {
  const shape = containerHeader.shapeOf(bytes)
  return typeof shape === "string" ? Either.left(shape) : Either.right(shape)
}

/**
 * The number of positions that a chunk occupies; on the left, why it is not known before the service counts.
 *
 * @since 0.1.0
 * @category getters
 */
export const chunkLength: (chunk: Chunk) => Either.Either<number, string> = lengths.chunkLength

/**
 * The number of positions that the input occupies in the model's context; on the left, the first chunk whose length is
 * not known before the service counts, and why.
 *
 * @since 0.1.0
 * @category getters
 */
export const lengthEither = (
  self: ModelInput
): Either.Either<number, { readonly path: string; readonly reason: string }> => lengths.totalLength(self.chunks)

/**
 * The number of positions that the input occupies in the model's context.
 *
 * @throws RangeError when the length of a chunk is not known; `lengthEither` returns the reason instead.
 * @since 0.1.0
 * @category getters
 */
export const length = (self: ModelInput): number => {
  const result = lengthEither(self)
  if (Either.isLeft(result)) throw new RangeError(`${result.left.path} ${result.left.reason}`)
  return result.right
}

/**
 * Whether every chunk is text.
 *
 * @since 0.1.0
 * @category guards
 */
export const isText = (self: ModelInput): self is TextInput =>
  self.chunks.every((chunk) => chunk.type === "encoded_text")

/**
 * All token ids in order. The array of an input of one chunk is not copied.
 *
 * @throws RangeError when a chunk is not text; check with `isText` first.
 * @since 0.1.0
 * @category getters
 */
export const toTokens = (self: ModelInput): Int32Array => {
  if (!isText(self)) {
    const index = self.chunks.findIndex((chunk) => chunk.type !== "encoded_text")
    throw new RangeError(`chunks[${index}] is ${self.chunks[index]!.type}, which has no token ids`)
  }
  if (self.chunks.length === 1) return self.chunks[0]!.tokens
  const out = new Int32Array(length(self))
  let offset = 0
  for (const chunk of self.chunks) {
    out.set(chunk.tokens, offset)
    offset += chunk.tokens.length
  }
  return out
}
