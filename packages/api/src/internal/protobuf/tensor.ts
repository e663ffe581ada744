/** `Tensor`: writing and reading, dense or in compressed sparse rows. */
import * as TensorData from "../../TensorData.ts"
import * as arrays from "./arrays.ts"
import * as R from "./reader.ts"
import * as W from "./writer.ts"

const FLOAT32 = 1
const INT64 = 2
const INT32 = 3
const BFLOAT16 = 4

/** @internal */
export const dtypeOf = (tensor: TensorData.TensorData): number => (tensor.dtype === "float32" ? FLOAT32 : INT64)

/** The size of the values in bytes. @internal */
export const dataSize = (tensor: TensorData.TensorData): number =>
  tensor.data.length * (tensor.dtype === "float32" ? 4 : 8)

/** Writes the values. @internal */
export const writeData = (w: W.Writer, tensor: TensorData.TensorData): void => {
  if (tensor.dtype === "float32") w.bytes.set(arrays.bytesOf(tensor.data), w.position)
  else arrays.writeInt64(w.bytes, w.view, w.position, tensor.data)
  w.position += dataSize(tensor)
}

const csrSize = (tensor: TensorData.SparseTensor): number =>
  W.implicitSize(dataSize(tensor)) +
  W.implicitSize(8 * tensor.sparse_crow_indices.length) +
  W.implicitSize(8 * tensor.sparse_col_indices.length)

/** @internal */
export const size = (tensor: TensorData.TensorData): number =>
  W.bytesSize(TensorData.isSparse(tensor) ? csrSize(tensor) : dataSize(tensor)) + 2 + W.packedSize(tensor.shape ?? [])

const writeIndices = (w: W.Writer, field: number, indices: Int32Array): void => {
  if (indices.length === 0) return
  w.open(field, 8 * indices.length)
  arrays.writeInt64(w.bytes, w.view, w.position, indices)
  w.position += 8 * indices.length
}

/** @internal */
export const write = (w: W.Writer, tensor: TensorData.TensorData): void => {
  if (TensorData.isSparse(tensor)) {
    w.open(2, csrSize(tensor))
    if (tensor.data.length > 0) {
      w.open(1, dataSize(tensor))
      writeData(w, tensor)
    }
    writeIndices(w, 2, tensor.sparse_crow_indices)
    writeIndices(w, 3, tensor.sparse_col_indices)
  } else {
    w.open(1, dataSize(tensor))
    writeData(w, tensor)
  }
  w.explicitVarint(3, dtypeOf(tensor))
  w.packed(4, tensor.shape ?? [])
}

/** Fields of a `Tensor` as they were read. @internal */
export interface Raw {
  dense?: Uint8Array | undefined
  csr?: { values: Uint8Array; crow: Uint8Array; col: Uint8Array } | undefined
  dtype: number
  readonly shape: Array<number>
}

/** @internal */
export const raw = (): Raw => ({ dtype: 0, shape: [] })

const nothing: Uint8Array = new Uint8Array(0)

/** @internal */
export const read = (r: R.Reader, into: Raw): void =>
  r.message(() => {
    if (r.field === 1 && r.wire === R.LEN) {
      into.dense = r.content()
      into.csr = undefined
    } else if (r.field === 2 && r.wire === R.LEN) {
      into.dense = undefined
      const csr = (into.csr ??= { values: nothing, crow: nothing, col: nothing })
      r.message(() => {
        if (r.field === 1 && r.wire === R.LEN) csr.values = r.content()
        else if (r.field === 2 && r.wire === R.LEN) csr.crow = r.content()
        else if (r.field === 3 && r.wire === R.LEN) csr.col = r.content()
        else r.skip()
      })
    } else if (r.field === 3 && r.wire === R.VARINT) into.dtype = r.int32()
    else if (r.field === 4 && (r.wire === R.VARINT || r.wire === R.LEN)) r.sizes(into.shape, "a dimension")
    else r.skip()
  })

const widths: { readonly [dtype: number]: number } = { [FLOAT32]: 4, [INT64]: 8, [INT32]: 4, [BFLOAT16]: 2 }

/** The size of one element in bytes. @internal */
export const width = (dtype: number, what: string): number =>
  widths[dtype] ?? R.invalid(`${what} has an unknown dtype ${dtype}`)

/** The values in memory: float32, or int64 in the narrowest array that holds them. @internal */
export const values = (
  bytes: Uint8Array,
  dtype: number,
  what: string
):
  | { readonly dtype: "float32"; readonly data: Float32Array }
  | { readonly dtype: "int64"; readonly data: Int32Array | BigInt64Array } => {
  if (bytes.length % width(dtype, what) !== 0)
    R.invalid(`${what} has ${bytes.length} bytes, not a whole number of values`)
  switch (dtype) {
    case FLOAT32:
      return { dtype: "float32", data: arrays.float32Of(bytes) }
    case BFLOAT16:
      return { dtype: "float32", data: arrays.float32OfBfloat16(bytes) }
    case INT32:
      return { dtype: "int64", data: arrays.int32Of(bytes) }
    default:
      return { dtype: "int64", data: arrays.integersOf(bytes) }
  }
}

const indices = (bytes: Uint8Array, what: string): Int32Array => {
  const { data } = values(bytes, INT64, what)
  return data instanceof Int32Array ? data : R.invalid(`${what} has an index above 2^31`)
}

/** @internal */
export const finish = (tensor: Raw, what: string): TensorData.TensorData => {
  const shape = tensor.shape.length === 0 ? {} : { shape: tensor.shape }
  const { csr } = tensor
  const out: TensorData.TensorData = {
    ...values(csr === undefined ? (tensor.dense ?? nothing) : csr.values, tensor.dtype, what),
    ...shape,
    ...(csr === undefined
      ? {}
      : { sparse_crow_indices: indices(csr.crow, what), sparse_col_indices: indices(csr.col, what) })
  }
  const problem = TensorData.problem(out)
  return problem === undefined ? out : R.invalid(`${what} ${problem}`)
}
