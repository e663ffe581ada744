/** Matrices that stay in 4 or 8 bits. */

/**
 * A matrix (rows, columns) in blocks of `quantizedBlock` values along its rows: `scale * (value - zero) + middle`, where zero
 * is half of the range of a value. Two values of 4 bits share a byte, the first one in
 * its lower half.
 *
 * @internal
 */
export interface QuantizedMatrix {
  readonly rows: number
  readonly columns: number
  readonly bits: 4 | 8
  readonly values: Uint8Array
  /** of each block */
  readonly scales: Float32Array
  /** of each block; 0 if absent */
  readonly middles?: Float32Array | undefined
}

/** How many values a block of a quantized matrix has. @internal */
export const quantizedBlock = 32
