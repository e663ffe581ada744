/**
 * The safetensors file format: named tensors in one file, as bytes in memory. Writes F32; reads F32, F16 and BF16 as
 * `Float32Array`. It does no I/O.
 *
 * A file is an unsigned 64-bit little-endian length `n`, a JSON header of `n` bytes with the dtype, shape and offsets of
 * each tensor, and the data, row-major and little-endian.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as decoding from "./internal/safetensors/decode.ts"
import * as encoding from "./internal/safetensors/encode.ts"
import type * as format from "./internal/safetensors/format.ts"

/**
 * A dense tensor, row-major: `data.length` is the product of `shape`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tensor extends format.Tensor {}

/**
 * @since 0.1.0
 * @category models
 */
export interface SafeTensors {
  readonly tensors: { readonly [name: string]: Tensor }
  readonly metadata: { readonly [key: string]: string }
}

/**
 * The bytes are not a safetensors file that this module can read.
 *
 * @since 0.1.0
 * @category errors
 */
export class SafeTensorsError extends Schema.TaggedError<SafeTensorsError>(
  "@effect-tinker/server/SafeTensors/SafeTensorsError"
)("SafeTensorsError", { reason: Schema.String }) {
  override get message(): string {
    return `not a readable safetensors file: ${this.reason}`
  }
}

/**
 * Encodes F32 tensors, sorted by name. Equal tensors and metadata give equal bytes.
 *
 * @throws RangeError if the data of a tensor does not fit its shape.
 * @since 0.1.0
 * @category conversions
 */
export const encode = (
  tensors: { readonly [name: string]: Tensor },
  metadata: { readonly [key: string]: string } = {}
): Uint8Array<ArrayBuffer> => encoding.encode(tensors, metadata)

/**
 * Decodes a file. F32 tensors may share the memory of `bytes`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (bytes: Uint8Array): Either.Either<SafeTensors, SafeTensorsError> =>
  Either.mapLeft(decoding.decode(bytes), (reason) => new SafeTensorsError({ reason }))
