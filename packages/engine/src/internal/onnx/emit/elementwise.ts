/** Emits elementwise operators, with broadcasting. */
import { range } from "../../util/shape.ts"
import { fuseRmsNorm, sigmoidInput } from "../fuse.ts"
import type { Graph } from "../graph.ts"
import type { DType } from "../proto.ts"
import { broadcastShape, broadcastTo, fullView, transpose, type View } from "../view.ts"
import { alignTensor } from "./layout.ts"

/** A scalar constant. @internal */
export const scalar = (graph: Graph, dtype: DType, value: number): View => ({
  ...fullView(graph.scalar(dtype, value), dtype, []),
  isZero: value === 0
})

/** An operator of one input. It keeps the layout of its input. @internal */
export const unary = (graph: Graph, op: string, view: View): View => {
  const sigmoid = op === "Reciprocal" ? sigmoidInput(graph, view.tensor) : undefined
  const tensor = sigmoid === undefined ? graph.node(op, [view.tensor]) : graph.node("Sigmoid", [sigmoid])
  return { ...view, tensor, isZero: false }
}

/** How many elements of a view are stored. */
const storedSize = ({ axes, shape }: View): number =>
  axes.reduce((size, axis, i) => (axis < 0 ? size : size * shape[i]!), 1)

/** The axes of a shape in the order in which the tensor of the largest view has them; broadcast axes stay in place. */
const orderOfLargest = (views: ReadonlyArray<View>, rank: number): ReadonlyArray<number> => {
  const largest = views.reduce((a, b) => (storedSize(b) > storedSize(a) ? b : a))
  const keys: Array<number> = []
  for (let i = 0; i < rank; i++) keys.push(largest.axes[i]! >= 0 ? largest.axes[i]! : (keys[i - 1] ?? -1))
  return [...range(rank)].sort((a, b) => keys[a]! - keys[b]! || a - b)
}

/** Emits an operator on aligned tensors; a product may be an RMS norm. */
const emitAligned = (
  graph: Graph,
  op: string,
  inputs: ReadonlyArray<string>,
  inputShapes: ReadonlyArray<ReadonlyArray<number>>,
  shape: ReadonlyArray<number>
): string => {
  if (op === "Mul") {
    const [x, y] = inputs as readonly [string, string]
    const fused = fuseRmsNorm(graph, x, y, shape, inputShapes[1]!) ?? fuseRmsNorm(graph, y, x, shape, inputShapes[0]!)
    if (fused !== undefined) return fused
  }
  return graph.node(op, inputs)
}

/**
 * An operator of several inputs. The output has the layout of the largest input, so that this one is not copied.
 *
 * @internal
 */
export const nary = (graph: Graph, op: string, inputs: ReadonlyArray<View>, dtype: DType): View => {
  const shape = broadcastShape(inputs)
  const views = inputs.map((view) => broadcastTo(view, shape))
  const order = orderOfLargest(views, shape.length)
  const aligned = views.map((view) => alignTensor(graph, transpose(view, order)))
  // a scalar needs no axes
  const isScalar = (i: number) => views[i]!.tensorShape.length === 0
  const tensors = aligned.map(({ tensor }, i) => (isScalar(i) ? views[i]!.tensor : tensor))
  const tensorShape = order.map((_, axis) => Math.max(...aligned.map(({ shape }) => shape[axis]!)))
  const axes = shape.map((_, i) => {
    const axis = order.indexOf(i)
    return tensorShape[axis] === 1 ? -1 : axis
  })
  // the output has as many axes as the input that has most
  const rank = Math.max(...aligned.map(({ shape }, i) => (isScalar(i) ? 0 : shape.length)))
  const alignedShapes = aligned.map(({ shape }) => shape)
  const tensor = emitAligned(graph, op, tensors, alignedShapes, tensorShape)
  return { tensor, dtype, tensorShape: rank === 0 ? [] : tensorShape, shape, axes, isZero: false }
}

/** A sum; adding zeros emits nothing. @internal */
export const add = (graph: Graph, x: View, y: View): View => {
  const shape = broadcastShape([x, y])
  if (x.isZero) return broadcastTo(y, shape)
  if (y.isZero) return broadcastTo(x, shape)
  return nary(graph, "Add", [x, y], x.dtype)
}

/** A product; multiplying by zeros emits nothing. @internal */
export const mul = (graph: Graph, x: View, y: View): View => {
  const shape = broadcastShape([x, y])
  if (x.isZero || y.isZero) return broadcastTo(scalar(graph, x.dtype, 0), shape)
  return nary(graph, "Mul", [x, y], x.dtype)
}

/** A comparison by one of jax-js's operators. @internal */
export const compare = (graph: Graph, op: string, x: View, y: View): View => {
  switch (op) {
    case "less":
      return nary(graph, "Less", [x, y], "bool")
    case "less_equal":
      return nary(graph, "LessOrEqual", [x, y], "bool")
    case "equal":
      return nary(graph, "Equal", [x, y], "bool")
    case "not_equal":
      return unary(graph, "Not", nary(graph, "Equal", [x, y], "bool"))
    default:
      throw new TypeError(`cannot lower the comparison ${op} to ONNX`)
  }
}
