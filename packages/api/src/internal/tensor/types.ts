/** The types of tensors, in memory and in JSON. `TensorData` exports them. */

/**
 * What makes a tensor of shape `[rows, columns]` sparse, in compressed sparse rows (CSR): `data` then holds the stored
 * values alone, row by row. `sparse_crow_indices` has `rows + 1` entries, and row `i` owns the values from entry `i` up
 * to entry `i + 1`; `sparse_col_indices` has the column of each value. What a cell without a value means depends on the
 * field: 0 in a loss input, no request at all in `target_prompt_logprobs`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SparseIndices {
  readonly sparse_crow_indices?: Int32Array | undefined
  readonly sparse_col_indices?: Int32Array | undefined
}

/**
 * A tensor of 32-bit floats.
 *
 * @since 0.1.0
 * @category models
 */
export interface FloatTensor extends SparseIndices {
  readonly dtype: "float32"
  readonly data: Float32Array
  readonly shape?: ReadonlyArray<number> | undefined
}

/**
 * A tensor of 64-bit integers, stored as 32-bit integers if all of them fit.
 *
 * @since 0.1.0
 * @category models
 */
export interface IntTensor extends SparseIndices {
  readonly dtype: "int64"
  readonly data: Int32Array | BigInt64Array
  readonly shape?: ReadonlyArray<number> | undefined
}

/** A tensor of either dtype, dense or sparse. @internal */
export type Tensor = FloatTensor | IntTensor

/**
 * A tensor known to be sparse.
 *
 * @since 0.1.0
 * @category models
 */
export type SparseTensor = Tensor & {
  readonly shape: ReadonlyArray<number>
  readonly sparse_crow_indices: Int32Array
  readonly sparse_col_indices: Int32Array
}

/**
 * A tensor in a JSON body.
 *
 * @since 0.1.0
 * @category models
 */
export interface Encoded {
  readonly data: ReadonlyArray<number>
  readonly dtype: string
  readonly shape?: ReadonlyArray<number> | null | undefined
  readonly sparse_crow_indices?: ReadonlyArray<number> | null | undefined
  readonly sparse_col_indices?: ReadonlyArray<number> | null | undefined
}

/**
 * Values of one dimension, or rows of equal length.
 *
 * @since 0.1.0
 * @category models
 */
export type Values = ArrayLike<number> | ReadonlyArray<ArrayLike<number>>
