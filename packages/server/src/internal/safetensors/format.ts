/** Constants and types of the safetensors format. */

/** @internal */
export interface Tensor {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

/** The header's entry that holds metadata instead of a tensor. @internal */
export const metadataKey = "__metadata__"

/** Bytes of the length that precedes the header. @internal */
export const lengthBytes = 8

/** The number of values of a tensor. @internal */
export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((size, dimension) => size * dimension, 1)
