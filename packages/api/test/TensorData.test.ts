import { assert, describe, it } from "@effect/vitest"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as FastCheck from "fast-check"

const decode = Schema.decodeUnknownEither(TensorData.TensorData)

describe("TensorData", () => {
  it("makes tensors from numbers, rows and typed arrays", () => {
    const floats = Float32Array.of(1, 2)
    assert.strictEqual(TensorData.float32(floats).data, floats)
    assert.deepStrictEqual(
      TensorData.float32([
        [1, 2],
        [3, 4]
      ]).shape,
      [2, 2]
    )
    assert.deepStrictEqual(TensorData.int64([1, -1]).data, Int32Array.of(1, -1))
    assert.deepStrictEqual(TensorData.int64([2 ** 40]).data, BigInt64Array.of(2n ** 40n))
    assert.throws(() => TensorData.float32([[1], [1, 2]]), RangeError)
    assert.throws(() => TensorData.int64([0.5]), RangeError)
  })

  it("has its shape, or its length without one", () => {
    assert.deepStrictEqual(TensorData.shapeOf({ dtype: "float32", data: new Float32Array(3) }), [3])
    assert.strictEqual(
      TensorData.lengthOf(
        TensorData.float32([
          [1, 2],
          [3, 4]
        ])
      ),
      2
    )
  })

  const wrong: ReadonlyArray<readonly [string, object, string]> = [
    ["another dtype", { data: [1], dtype: "float64" }, "is not one of float32, int64"],
    ["a value that is not a number", { data: [1, "2"], dtype: "float32" }, "data[1] is not a number"],
    ["a fraction as integer", { data: [0.5], dtype: "int64" }, "data[0] is not an integer"],
    ["a shape that does not fit", { data: [1, 2], dtype: "int64", shape: [3] }, "has shape [3], but 2 values"],
    ["a bad dimension", { data: [], dtype: "int64", shape: [-1, 0] }, "with a bad dimension"],
    [
      "half of the indices",
      { data: [], dtype: "int64", shape: [1, 1], sparse_crow_indices: [0, 0] },
      "without column indices"
    ],
    [
      "too few row pointers",
      { data: [], dtype: "int64", shape: [2, 2], sparse_crow_indices: [0, 0], sparse_col_indices: [] },
      "2 rows need 3"
    ],
    [
      "a column that does not exist",
      { data: [1], dtype: "int64", shape: [1, 2], sparse_crow_indices: [0, 1], sparse_col_indices: [2] },
      "has column index 2"
    ],
    [
      "decreasing row pointers",
      { data: [1], dtype: "int64", shape: [2, 2], sparse_crow_indices: [0, 2, 1], sparse_col_indices: [0] },
      "decrease at row 1"
    ],
    [
      "an index above 32 bits",
      { data: [1], dtype: "int64", shape: [1, 2], sparse_crow_indices: [0, 1], sparse_col_indices: [2 ** 40] },
      "sparse_col_indices[0]"
    ],
    [
      "sparse data without a shape",
      { data: [1], dtype: "int64", sparse_crow_indices: [0, 1], sparse_col_indices: [0] },
      "needs a shape of two dimensions"
    ]
  ]
  it.each(wrong)("rejects %s", (_name, encoded, message) => {
    const result = decode(encoded)
    assert.isTrue(Either.isLeft(result))
    if (Either.isLeft(result)) assert.include(result.left.message, message)
  })

  it("decodes null to an absent shape, and to NaN in float data", () => {
    const tensor = Either.getOrThrow(decode({ data: [null], dtype: "float32", shape: null, sparse_crow_indices: null }))
    assert.deepStrictEqual(tensor, { dtype: "float32", data: Float32Array.of(Number.NaN) })
  })

  it("does not encode integers that JSON would round", () => {
    const tensor: TensorData.TensorData = { dtype: "int64", data: BigInt64Array.of(2n ** 60n) }
    assert.isTrue(Either.isLeft(Schema.encodeEither(TensorData.TensorData)(tensor)))
  })

  it("becomes sparse exactly if that takes fewer numbers", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 6 }),
        FastCheck.integer({ min: 1, max: 8 }),
        FastCheck.infiniteStream(FastCheck.integer({ min: 0, max: 2 })),
        FastCheck.constantFrom(0, -1),
        (rows, columns, stream, pad) => {
          const values = [...stream.take(rows * columns)].map((value) => (value === 0 ? pad : value))
          const dense: TensorData.IntTensor = { dtype: "int64", data: Int32Array.from(values), shape: [rows, columns] }
          const stored = values.filter((value) => value !== pad).length
          const sparse = TensorData.sparsify(dense, pad)
          assert.strictEqual(TensorData.isSparse(sparse), rows + 1 + 2 * stored < rows * columns)
          assert.isUndefined(TensorData.problem(sparse))
          assert.deepStrictEqual(TensorData.toDense(sparse, pad), dense)
        }
      )
    )
  })

  it("returns tensors of other ranks, and sparse ones, unchanged", () => {
    const flat = TensorData.float32(new Float32Array(100))
    assert.strictEqual(TensorData.sparsify(flat), flat)
    const sparse = TensorData.sparsify(
      TensorData.int64([
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1]
      ])
    )
    assert.isTrue(TensorData.isSparse(sparse))
    assert.strictEqual(TensorData.sparsify(sparse), sparse)
    assert.strictEqual(TensorData.toDense(flat), flat)
  })
})
