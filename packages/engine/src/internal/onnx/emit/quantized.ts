/** Emits products with matrices that are kept in 4 or 8 bits. */
import type { Graph } from "../graph.ts"
import { runtimeDomain } from "../proto.ts"
import { quantizedBlock, type QuantizedMatrix } from "../quantized.ts"
import { reshapeTensor } from "./layout.ts"

/** Activations are rounded to 8 bits, block by block in each row: this is where the speed comes from. */
const accuracyLevel = 4

/** The large constants of matrices, by the names that products have for them. @internal */
export const constantsOf = (matrices: {
  readonly [name: string]: QuantizedMatrix
}): ReadonlyMap<string, Uint8Array> => {
  const bytesOf = (values: Uint8Array | Float32Array) =>
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return new Map(
    Object.entries(matrices).flatMap(([name, { middles, scales, values }]) => [
      [`${name}.values`, bytesOf(values)],
      [`${name}.scales`, bytesOf(scales)],
      ...(middles === undefined ? [] : [[`${name}.middles`, bytesOf(middles)] as const])
    ])
  )
}

/**
 * `x @ matrix.T` for `x` (count, columns). The middles of blocks are multiplied by the sums of the blocks of `x`.
 *
 * @internal
 */
export const emitQuantized = (
  graph: Graph,
  x: string,
  count: number,
  name: string,
  { bits, columns, middles, rows, scales, values }: QuantizedMatrix
): string => {
  const blocks = columns / quantizedBlock
  const attributes = { K: columns, N: rows, bits, block_size: quantizedBlock, accuracy_level: accuracyLevel }
  const data = graph.external(`${name}.values`, "uint8", [rows, blocks, (quantizedBlock * bits) / 8], values)
  const factors = graph.external(`${name}.scales`, "float32", [rows * blocks], scales)
  const product = graph.node("MatMulNBits", [x, data, factors], attributes, runtimeDomain)
  if (middles === undefined) return product
  const parts = reshapeTensor(graph, x, [count, columns], [count, blocks, quantizedBlock])
  const sums = graph.node("ReduceSum", [parts, graph.intList([2])], { keepdims: 0 })
  const offsets = graph.external(`${name}.middles`, "float32", [rows, blocks], middles)
  return graph.node("Gemm", [sums, offsets, product], { transA: 0, transB: 1 })
}
