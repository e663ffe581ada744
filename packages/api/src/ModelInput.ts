/**
 * What a model reads: a sequence of chunks of text, images and audio.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { Invalid, transformOrInvalid } from "./internal/effect/parseError.ts"
import * as arbitraries from "./internal/arbitraries/tensors.ts"
import * as typedArrays from "./internal/tensor/typedArrays.ts"
import { nullish } from "./internal/schemas/optional.ts"
import { taggedUnion } from "./internal/schemas/wire.ts"
import * as tensorContainer from "./internal/tensor/containerHeader.ts"

const TokensEncoded: Schema.Schema<ReadonlyArray<number>> = Schema.declare(
  (u): u is ReadonlyArray<number> => Array.isArray(u),
  { identifier: "TokensEncoded", jsonSchema: { type: "array", items: { type: "integer" } } }
)

/**
 * Token ids: an array of integers on the wire, an `Int32Array` in memory. A negative id is refused.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Tokens: Schema.Schema<Int32Array, ReadonlyArray<number>> = transformOrInvalid(
  TokensEncoded,
  Schema.declare((u): u is Int32Array => u instanceof Int32Array, {
    identifier: "Int32Array",
    arbitrary: arbitraries.tokens
  }),
  {
    decode: (values) => {
      const tokens = typedArrays.toInt32(values)
      const bad = typeof tokens === "number" ? tokens : tokens.findIndex((token) => token < 0)
      return typeof tokens === "number" || bad >= 0
        ? new Invalid(`tokens[${bad}] is not a token id`, values[bad])
        : tokens
    },
    encode: (tokens) => Array.from(tokens)
  }
)

/**
 * Text, as token ids.
 *
 * @since 0.1.0
 * @category schemas
 */
export const EncodedTextChunk = Schema.Struct({
  type: Schema.Literal("encoded_text"),
  tokens: Tokens
})

/**
 * @since 0.1.0
 * @category models
 */
export type EncodedTextChunk = typeof EncodedTextChunk.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const ImageFormat = Schema.Literal("png", "jpeg")

/**
 * @since 0.1.0
 * @category models
 */
export type ImageFormat = typeof ImageFormat.Type

const expectedTokens = nullish(Schema.NonNegativeInt)

/**
 * An image file: base64 in JSON, its bytes in memory. `expected_tokens` says how many positions the caller believes the
 * image takes; the service counts for itself and fails early when the two differ. `override_dimensions`, in pixels,
 * counts and prepares the image as if it had that size; only protobuf carries it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ImageChunk = Schema.Struct({
  type: Schema.Literal("image"),
  data: Schema.Uint8ArrayFromBase64,
  format: ImageFormat,
  expected_tokens: expectedTokens,
  override_dimensions: nullish(Schema.Struct({ width: Schema.NonNegativeInt, height: Schema.NonNegativeInt }))
})

/**
 * @since 0.1.0
 * @category models
 */
export type ImageChunk = typeof ImageChunk.Type

/**
 * An image that the service fetches by its location. Sampling takes it; training, which speaks protobuf, does not.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ImageAssetPointerChunk = Schema.Struct({
  type: Schema.Literal("image_asset_pointer"),
  format: ImageFormat,
  location: Schema.String,
  expected_tokens: expectedTokens
})

/**
 * @since 0.1.0
 * @category models
 */
export type ImageAssetPointerChunk = typeof ImageAssetPointerChunk.Type

/**
 * Audio: a serialized tensor whose first dimension is the number of positions. Base64 in JSON, bytes in memory.
 *
 * @since 0.1.0
 * @category schemas
 */
export const DmelChunk = Schema.Struct({
  type: Schema.Literal("dmel"),
  dmel: Schema.Uint8ArrayFromBase64
})

/**
 * @since 0.1.0
 * @category models
 */
export type DmelChunk = typeof DmelChunk.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const Chunk = taggedUnion("type", EncodedTextChunk, ImageChunk, ImageAssetPointerChunk, DmelChunk)

/**
 * @since 0.1.0
 * @category models
 */
export type Chunk = typeof Chunk.Type

/**
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
 * A model input of text alone, so that its chunks carry `tokens`.
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
 * A chunk that is an image. Without `expected_tokens` its length is known to the service alone.
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
 * One chunk of text, as a tokenizer reads it. What a tokenizer adds to every text, such as a token for its beginning, is
 * part of it.
 *
 * @throws RangeError when the tokenizer gives what is not a token id.
 * @since 0.1.0
 * @category constructors
 */
export const fromText = (
  tokenizer: { readonly encode: (text: string) => ArrayLike<number> },
  text: string
): ModelInput => fromTokens(tokenizer.encode(text))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (...chunks: ReadonlyArray<Chunk>): ModelInput => ({ chunks })

/**
 * @since 0.1.0
 * @category constructors
 */
export const empty: ModelInput = { chunks: [] }

/**
 * The input with one more chunk at its end.
 *
 * @since 0.1.0
 * @category combinators
 */
export const append = (self: ModelInput, chunk: Chunk): ModelInput => ({ chunks: [...self.chunks, chunk] })

/**
 * The shape of a serialized tensor, read from its header alone; on the left, what is wrong with the header.
 *
 * @since 0.1.0
 * @category getters
 */
export const containerShape = (bytes: Uint8Array): Either.Either<ReadonlyArray<number>, string> => {
  const shape = tensorContainer.shapeOf(bytes)
  return typeof shape === "string" ? Either.left(shape) : Either.right(shape)
}

/**
 * The number of positions that a chunk takes; on the left, why that is not known here.
 *
 * @since 0.1.0
 * @category getters
 */
export const chunkLength = (chunk: Chunk): Either.Either<number, string> => {
  switch (chunk.type) {
    case "encoded_text":
      return Either.right(chunk.tokens.length)
    case "image":
    case "image_asset_pointer":
      return chunk.expected_tokens === undefined
        ? Either.left("has no expected_tokens, so its length is not known before the service counts it")
        : Either.right(chunk.expected_tokens)
    case "dmel": {
      const shape = tensorContainer.shapeOf(chunk.dmel)
      if (typeof shape === "string") return Either.left(`holds a tensor that ${shape}`)
      return shape.length === 0 ? Either.left("holds a tensor without dimensions") : Either.right(shape[0]!)
    }
  }
}

/**
 * The number of positions that the input takes in the model's context; on the left, the first chunk whose length is not
 * known here, and why.
 *
 * @since 0.1.0
 * @category getters
 */
export const lengthEither = (
  self: ModelInput
): Either.Either<number, { readonly path: string; readonly reason: string }> => {
  let sum = 0
  for (let i = 0; i < self.chunks.length; i++) {
    const length = chunkLength(self.chunks[i]!)
    if (Either.isLeft(length)) return Either.left({ path: `chunks[${i}]`, reason: length.left })
    sum += length.right
  }
  return Either.right(sum)
}

/**
 * The number of positions that the input takes in the model's context.
 *
 * @throws RangeError when a chunk's length is not known here; `lengthEither` returns that instead.
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
 * All token ids in order. With a single chunk this is the chunk's own array.
 *
 * @throws RangeError when a chunk is not text; ask `isText` first where that may be.
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
