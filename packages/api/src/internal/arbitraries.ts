/** Random values of the types that schemas only declare, for property tests of those who use them. */
import type * as Arbitrary from "effect/Arbitrary"
import type * as FastCheck from "effect/FastCheck"
import type * as TensorData from "../TensorData.ts"
import * as csr from "./csr.ts"

type Fc = Parameters<Arbitrary.LazyArbitrary<unknown>>[0]

/** Positive zero, so that JSON brings it back. */
const float = (fc: Fc, options: FastCheck.FloatConstraints) => fc.float(options).map((value) => value + 0)

/** @internal */
export const tokens =
  () =>
  (fc: Fc): FastCheck.Arbitrary<Int32Array> =>
    fc.array(fc.integer({ min: 0, max: 0x7fffffff }), { maxLength: 8 }).map((values) => Int32Array.from(values))

/** @internal */
export const logprobs =
  () =>
  (fc: Fc): FastCheck.Arbitrary<Float32Array> =>
    fc.array(float(fc, { noDefaultInfinity: true }), { maxLength: 8 }).map((values) => Float32Array.from(values))

const shape = (fc: Fc) => fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 })

const withShape = <A extends TensorData.TensorData>(
  fc: Fc,
  make: (length: number) => FastCheck.Arbitrary<A>
): FastCheck.Arbitrary<A> =>
  fc.oneof(
    fc.integer({ min: 0, max: 8 }).chain(make),
    shape(fc).chain((shape) =>
      make(shape.reduce((size, dimension) => size * dimension, 1)).map((tensor) => ({ ...tensor, shape }))
    )
  )

const sized = (length: number) => ({ minLength: length, maxLength: length })

/** @internal */
export const tensor =
  () =>
  (fc: Fc): FastCheck.Arbitrary<TensorData.TensorData> => {
    const floats = withShape(fc, (length) =>
      fc
        .array(float(fc, { noDefaultInfinity: true }), sized(length))
        .map((values) => ({ dtype: "float32" as const, data: Float32Array.from(values) }))
    )
    const integers = withShape<TensorData.IntTensor>(fc, (length) =>
      fc
        .array(fc.integer(), sized(length))
        .map((values) => ({ dtype: "int64" as const, data: Int32Array.from(values) }))
    )
    const wide = fc.array(fc.maxSafeInteger(), { maxLength: 4 }).map((values): TensorData.IntTensor => ({
      dtype: "int64",
      data: BigInt64Array.from([2 ** 40, ...values], BigInt)
    }))
    const sparse = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 4, max: 8 })).chain(([rows, columns]) =>
      fc
        .array(fc.tuple(fc.nat(rows - 1), fc.nat(columns - 1), fc.integer({ min: 1 })), { maxLength: 4 })
        .map((cells): TensorData.TensorData => {
          const dense = new Int32Array(rows * columns)
          for (const [row, column, value] of cells) dense[row * columns + column] = value
          const out = csr.fromDense(dense, [rows, columns], 0)
          return out === undefined
            ? { dtype: "int64", data: dense, shape: [rows, columns] }
            : {
                dtype: "int64",
                data: out.data as Int32Array,
                shape: [rows, columns],
                sparse_crow_indices: out.crow,
                sparse_col_indices: out.col
              }
        })
    )
    return fc.oneof(floats, integers, wide, sparse)
  }
