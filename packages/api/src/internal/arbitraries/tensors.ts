/** Arbitraries of the types that schemas only declare: token ids, logprobs and tensors. */
import type * as Arbitrary from "effect/Arbitrary"
import type * as FastCheck from "fast-check"
import * as csr from "../tensor/csr.ts"
import type { IntTensor, Tensor } from "../tensor/types.ts"

type Fc = Parameters<Arbitrary.LazyArbitrary<unknown>>[0]

/** Floats with 0 in place of -0, which JSON does not preserve. */
const float = (fc: Fc, options: FastCheck.FloatConstraints) => fc.float(options).map((value) => value + 0)

const ofLength = (length: number) => ({ minLength: length, maxLength: length })

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

/** Tensors without a shape, and tensors of one to three dimensions. */
const withShape = <A extends Tensor>(
  fc: Fc,
  make: (length: number) => FastCheck.Arbitrary<A>
): FastCheck.Arbitrary<A> =>
  fc.oneof(
    fc.integer({ min: 0, max: 8 }).chain(make),
    fc
      .array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 })
      .chain((shape) =>
        make(shape.reduce((size, dimension) => size * dimension, 1)).map((tensor) => ({ ...tensor, shape }))
      )
  )

const floats = (fc: Fc): FastCheck.Arbitrary<Tensor> =>
  withShape(fc, (length) =>
    fc
      .array(float(fc, { noDefaultInfinity: true }), ofLength(length))
      .map((values) => ({ dtype: "float32" as const, data: Float32Array.from(values) }))
  )

const integers = (fc: Fc): FastCheck.Arbitrary<Tensor> =>
  withShape<IntTensor>(fc, (length) =>
    fc.array(fc.integer(), ofLength(length)).map((values) => ({ dtype: "int64", data: Int32Array.from(values) }))
  )

/** Integers that do not fit 32 bits. */
const wideIntegers = (fc: Fc): FastCheck.Arbitrary<Tensor> =>
  fc
    .array(fc.maxSafeInteger(), { maxLength: 4 })
    .map((values) => ({ dtype: "int64", data: BigInt64Array.from([2 ** 40, ...values], BigInt) }))

/** Matrices with few values, sparse wherever that is smaller. */
const sparse = (fc: Fc): FastCheck.Arbitrary<Tensor> =>
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 4, max: 8 })).chain(([rows, columns]) =>
    fc
      .array(fc.tuple(fc.nat(rows - 1), fc.nat(columns - 1), fc.integer({ min: 1 })), { maxLength: 4 })
      .map((cells): IntTensor => {
        const shape = [rows, columns]
        const dense = new Int32Array(rows * columns)
        for (const [row, column, value] of cells) dense[row * columns + column] = value
        const out = csr.fromDense(dense, shape, 0)
        return out === undefined
          ? { dtype: "int64", data: dense, shape }
          : {
              dtype: "int64",
              data: out.data as Int32Array,
              shape,
              sparse_crow_indices: out.crow,
              sparse_col_indices: out.col
            }
      })
  )

/** @internal */
export const tensor =
  () =>
  (fc: Fc): FastCheck.Arbitrary<Tensor> =>
    fc.oneof(floats(fc), integers(fc), wideIntegers(fc), sparse(fc))
