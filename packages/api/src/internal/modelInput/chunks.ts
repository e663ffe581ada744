/** The chunks of a model input: schemas and types. */
import * as Schema from "effect/Schema"
import * as arbitraries from "../arbitraries/tensors.ts"
import { Invalid, transformOrInvalid } from "../effect/parseError.ts"
import { nullish } from "../schemas/optional.ts"
import { taggedUnion } from "../schemas/wire.ts"
import * as typedArrays from "../tensor/typedArrays.ts"

const TokensEncoded: Schema.Schema<ReadonlyArray<number>> = Schema.declare(
  (u): u is ReadonlyArray<number> => Array.isArray(u),
  { identifier: "TokensEncoded", jsonSchema: { type: "array", items: { type: "integer" } } }
)

/**
 * Token ids: an array of integers on the wire, an `Int32Array` in memory. Negative ids are rejected.
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
 * The file formats of images.
 *
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
 * An image file: base64 in JSON, bytes in memory. `expected_tokens` is the number of positions that the caller expects
 * the image to occupy; the service counts them itself and fails early if the two differ. `override_dimensions`, in
 * pixels, makes the service resize the image to that size before it counts; only protobuf can carry it.
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
 * An image that the service fetches from a location. Sampling accepts it; training, which uses protobuf, does not.
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
 * Audio, as a serialized tensor whose first dimension is the number of positions: base64 in JSON, bytes in memory.
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
 * A part of a model input.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Chunk = taggedUnion("type", EncodedTextChunk, ImageChunk, ImageAssetPointerChunk, DmelChunk)

/**
 * @since 0.1.0
 * @category models
 */
export type Chunk = typeof Chunk.Type
