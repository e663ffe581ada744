/** Compressed sparse rows (CSR): checks, and conversions from and to dense data. */

type Data = Float32Array | Int32Array | BigInt64Array

const get = (data: Data, index: number): number | bigint => data[index]!

const set = (data: Data, index: number, value: number | bigint): void => {
  ;(data as { [index: number]: number | bigint })[index] = value
}

/** An array of the same type as `data`, filled with zeros. */
const zerosLike = (data: Data, length: number): Data =>
  data instanceof Float32Array
    ? new Float32Array(length)
    : data instanceof Int32Array
      ? new Int32Array(length)
      : new BigInt64Array(length)

/** What is wrong with the indices, or `undefined`. `stored` is the number of values. @internal */
export const problem = (
  shape: ReadonlyArray<number> | undefined,
  stored: number,
  crow: Int32Array,
  col: Int32Array
): string | undefined => {
  if (shape === undefined || shape.length !== 2) return "is sparse, so it needs a shape of two dimensions"
  const [rows, columns] = [shape[0]!, shape[1]!]
  if (crow.length !== rows + 1) return `has ${crow.length} row pointers, but ${rows} rows need ${rows + 1}`
  if (crow[0] !== 0) return `has row pointers that start at ${crow[0]}, not at 0`
  for (let row = 0; row < rows; row++) {
    if (crow[row + 1]! < crow[row]!) return `has row pointers that decrease at row ${row}`
  }
  if (crow[rows] !== stored) return `has row pointers for ${crow[rows]} values, but ${stored} values`
  if (col.length !== stored) return `has ${col.length} column indices, but ${stored} values`
  for (let i = 0; i < stored; i++) {
    if (col[i]! < 0 || col[i]! >= columns) return `has column index ${col[i]}, but ${columns} columns`
  }
  return undefined
}

/** @internal */
export const toDense = (
  data: Data,
  shape: ReadonlyArray<number>,
  crow: Int32Array,
  col: Int32Array,
  pad: number
): Data => {
  const [rows, columns] = [shape[0]!, shape[1]!]
  const out = zerosLike(data, rows * columns)
  if (pad !== 0) (out as Float32Array).fill((out instanceof BigInt64Array ? BigInt(pad) : pad) as number)
  for (let row = 0; row < rows; row++) {
    for (let i = crow[row]!; i < crow[row + 1]!; i++) set(out, row * columns + col[i]!, get(data, i))
  }
  return out
}

interface Csr {
  readonly data: Data
  readonly crow: Int32Array
  readonly col: Int32Array
}

/** The sparse form, if it holds fewer numbers than the dense one. @internal */
export const fromDense = (data: Data, shape: ReadonlyArray<number>, pad: number): Csr | undefined => {
  const [rows, columns] = [shape[0]!, shape[1]!]
  const padding = data instanceof BigInt64Array ? BigInt(pad) : pad
  let stored = 0
  for (let i = 0; i < data.length; i++) if (data[i] !== padding) stored++
  if (rows + 1 + 2 * stored >= rows * columns) return undefined
  const out = zerosLike(data, stored)
  const crow = new Int32Array(rows + 1)
  const col = new Int32Array(stored)
  let next = 0
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = get(data, row * columns + column)
      if (value === padding) continue
      set(out, next, value)
      col[next++] = column
    }
    crow[row + 1] = next
  }
  return { data: out, crow, col }
}
