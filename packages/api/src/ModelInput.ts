/**
 * What a model reads: a sequence of chunks, of which this version knows text.
 *
 * @since 0.1.0
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as numbers from "./internal/numbers.ts"

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
export const Tokens: Schema.Schema<Int32Array, ReadonlyArray<number>> = Schema.transformOrFail(
  TokensEncoded,
  Schema.declare((u): u is Int32Array => u instanceof Int32Array, { identifier: "Int32Array" }),
  {
    strict: true,
    decode: (values, _options, ast) => {
      const tokens = numbers.toInt32(values)
      const bad = typeof tokens === "number" ? tokens : tokens.findIndex((token) => token < 0)
      return typeof tokens === "number" || bad >= 0
        ? ParseResult.fail(new ParseResult.Type(ast, values[bad], `tokens[${bad}] is not a token id`))
        : ParseResult.succeed<Int32Array>(tokens)
    },
    encode: (tokens) => ParseResult.succeed(Array.from(tokens))
  }
)

/**
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
export const Chunk = EncodedTextChunk

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
 * One chunk of text from token ids. An `Int32Array` is kept, not copied.
 *
 * @throws RangeError when a value is not a 32-bit integer.
 * @since 0.1.0
 * @category constructors
 */
export const fromTokens = (tokens: ArrayLike<number>): ModelInput => {
  const data = tokens instanceof Int32Array ? tokens : numbers.toInt32(tokens)
  if (typeof data === "number") throw new RangeError(`tokens[${data}] is ${tokens[data]}, not a token id`)
  return { chunks: [{ type: "encoded_text", tokens: data }] }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const empty: ModelInput = { chunks: [] }

/**
 * The number of positions that the input takes in the model's context.
 *
 * @since 0.1.0
 * @category getters
 */
export const length = (self: ModelInput): number => self.chunks.reduce((sum, chunk) => sum + chunk.tokens.length, 0)

/**
 * All token ids in order. With a single chunk this is the chunk's own array.
 *
 * @since 0.1.0
 * @category getters
 */
export const toTokens = (self: ModelInput): Int32Array => {
  if (self.chunks.length === 1) return self.chunks[0]!.tokens
  const out = new Int32Array(length(self))
  let offset = 0
  for (const chunk of self.chunks) {
    out.set(chunk.tokens, offset)
    offset += chunk.tokens.length
  }
  return out
}
