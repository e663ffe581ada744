/** Emits dot products along the last axis as matrix products. */
import { isEqual, range, sizeOf } from "../../util/shape.ts"
import type { Graph } from "../graph.ts"
import { runtimeDomain } from "../proto.ts"
import { broadcastShape, broadcastTo, storedAxes, transpose, type View } from "../view.ts"
import { mul, scalar } from "./elementwise.ts"
import { emitQuantized } from "./quantized.ts"
import { permuteTensor, reshapeTensor } from "./layout.ts"
import { reduce } from "./reduce.ts"

/** The sum of products along the last axis. @internal */
export const dot = (graph: Graph, left: View, right: View): View => {
  const shape = broadcastShape([left, right])
  const [x, y] = [broadcastTo(left, shape), broadcastTo(right, shape)]
  const last = shape.length - 1
  const rest = transpose(x, range(last))
  if (x.isZero || y.isZero) return broadcastTo(scalar(graph, x.dtype, 0), rest.shape)
  const [xHasLast, yHasLast] = [x.axes[last]! >= 0, y.axes[last]! >= 0]
  if (!xHasLast && !yHasLast) return reduce(graph, mul(graph, x, y), "Add", [last])
  if (!xHasLast) return mul(graph, rest, reduce(graph, y, "Add", [last]))
  if (!yHasLast) return mul(graph, reduce(graph, x, "Add", [last]), transpose(y, range(last)))
  return matmul(graph, x, y)
}

/** Which axes of two views are those of the batch, of the rows of each matrix, and of the sum. */
interface Roles {
  readonly shape: ReadonlyArray<number>
  /** both views have them */
  readonly batch: ReadonlyArray<number>
  /** only the first view has them */
  readonly xRows: ReadonlyArray<number>
  /** only the second view has them */
  readonly yRows: ReadonlyArray<number>
  /** the axis along which products are summed */
  readonly last: number
}

const sizeAlong = ({ shape }: Roles, axes: ReadonlyArray<number>): number => sizeOf(axes.map((i) => shape[i]!))

const rolesOf = (x: View, y: View): Roles => {
  const last = x.shape.length - 1
  const [xOrder, yOrder] = [storedAxes(x), storedAxes(y)]
  const batchOf = (order: ReadonlyArray<number>) =>
    order.filter((i) => i !== last && x.axes[i]! >= 0 && y.axes[i]! >= 0)
  const isLeading = (order: ReadonlyArray<number>) => isEqual(order.slice(0, batchOf(order).length), batchOf(order))
  return {
    shape: x.shape,
    batch: isLeading(xOrder) || !isLeading(yOrder) ? batchOf(xOrder) : batchOf(yOrder),
    xRows: xOrder.filter((i) => y.axes[i]! < 0),
    yRows: yOrder.filter((i) => x.axes[i]! < 0),
    last
  }
}

/** How many values a matrix needs to have so that transposing the product costs less than repacking the matrix. */
const largeMatrix = 2 ** 18

/** ONNX Runtime repacks the second matrix if it is not transposed, which takes longer than a product of few rows. */
const isRepackingCostly = (graph: Graph, y: View, roles: Roles): boolean => {
  const order = storedAxes(y)
  const yRows = sizeAlong(roles, roles.yRows)
  const xRows = graph.typicalSize(sizeAlong(roles, roles.xRows))
  const isLarge = yRows * roles.shape[roles.last]! >= largeMatrix && order[order.length - 1] === roles.last
  return isLarge && 4 <= xRows && xRows <= 16
}

const matmul = (graph: Graph, x: View, y: View): View => {
  const roles = rolesOf(x, y)
  const { batch, last, xRows, yRows } = roles
  for (const [matrix, other] of [
    [y, x],
    [x, y]
  ] as const) {
    const own = matrix === y ? roles : { ...roles, xRows: yRows, yRows: xRows }
    const quantized = quantizedProduct(graph, other, matrix, own)
    if (quantized !== undefined) return quantized
  }
  if (batch.length > 0) return matrixProduct(graph, x, y, roles)
  const typical = (axes: ReadonlyArray<number>) => graph.typicalSize(sizeAlong(roles, axes))
  const flipped: Roles = { ...roles, xRows: yRows, yRows: xRows }
  // one of the matrices has to be transposed: choose the smaller one
  if (storedAxes(x)[0] === last && typical(xRows) > typical(yRows)) {
    return matrixProduct(graph, y, x, flipped)
  }
  if (!isRepackingCostly(graph, y, roles)) return matrixProduct(graph, x, y, roles)
  const product = matrixProduct(graph, y, x, flipped)
  const order = [...xRows, ...yRows]
  const { shape, tensor } = permuteTensor(graph, product, order)
  return { ...product, tensor, tensorShape: shape, axes: range(last).map((i) => order.indexOf(i)) }
}

interface Operand {
  readonly tensor: string
  /** whether the axis of the sum comes before the rows */
  readonly isTransposed: boolean
}

/** A view as a matrix (batch, rows, depth), or (batch, depth, rows) where it lies so in memory. */
const operand = (graph: Graph, view: View, rows: ReadonlyArray<number>, roles: Roles): Operand => {
  const { batch, last, shape } = roles
  const order = storedAxes(view)
  const isTransposed = isEqual(order, [...batch, last, ...rows])
  const height = sizeAlong(roles, rows)
  const depth = shape[last]!
  const matrix = isTransposed ? [depth, height] : [height, depth]
  const permuted = permuteTensor(graph, view, isTransposed ? order : [...batch, ...rows, last])
  const matrixShape = batch.length === 0 ? matrix : [sizeAlong(roles, batch), ...matrix]
  return { isTransposed, tensor: reshapeTensor(graph, permuted.tensor, permuted.shape, matrixShape) }
}

/** The product with a matrix that is kept in few bits, (out, in), if `y` is one. */
const quantizedProduct = (graph: Graph, x: View, y: View, roles: Roles): View | undefined => {
  const matrix = Object.hasOwn(graph.quantized, y.tensor) ? graph.quantized[y.tensor] : undefined
  const { batch, last, shape, xRows, yRows } = roles
  if (matrix === undefined) return undefined
  if (batch.length > 0 || !isEqual(storedAxes(y), [...yRows, last]) || yRows.length !== 1) {
    throw new TypeError(`cannot lower this use of the quantized matrix ${y.tensor}`)
  }
  const { columns, rows } = matrix
  const permuted = permuteTensor(graph, x, [...xRows, last])
  const flat = reshapeTensor(graph, permuted.tensor, permuted.shape, [sizeAlong(roles, xRows), columns])
  const product = emitQuantized(graph, flat, sizeAlong(roles, xRows), y.tensor, matrix)
  const order = [...xRows, ...yRows]
  const tensorShape = order.map((i) => shape[i]!)
  return {
    tensor: reshapeTensor(graph, product, [sizeAlong(roles, xRows), rows], tensorShape),
    dtype: x.dtype,
    tensorShape,
    shape: shape.slice(0, last),
    axes: range(last).map((i) => order.indexOf(i)),
    isZero: false
  }
}

const matrixProduct = (graph: Graph, x: View, y: View, roles: Roles): View => {
  const { batch, last, shape, xRows, yRows } = roles
  const a = operand(graph, x, xRows, roles)
  const b = operand(graph, y, yRows, roles)
  const attributes = { transA: a.isTransposed ? 1 : 0, transB: b.isTransposed ? 0 : 1 }
  const product =
    batch.length === 0
      ? graph.node("Gemm", [a.tensor, b.tensor], attributes)
      : graph.node("FusedMatMul", [a.tensor, b.tensor], attributes, runtimeDomain)
  const order = [...batch, ...xRows, ...yRows]
  const matrix = [sizeAlong(roles, xRows), sizeAlong(roles, yRows)]
  const productShape = batch.length === 0 ? matrix : [sizeAlong(roles, batch), ...matrix]
  const tensorShape = order.map((i) => shape[i]!)
  return {
    tensor: reshapeTensor(graph, product, productShape, tensorShape),
    dtype: x.dtype,
    tensorShape,
    shape: shape.slice(0, last),
    axes: range(last).map((i) => order.indexOf(i)),
    isZero: false
  }
}
