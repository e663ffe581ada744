/** Brings views into the memory layout that an operator needs, by Transpose, Reshape and Expand. */
import { isAscending, isEqual, range } from "../../util/shape.ts"
import type { Graph } from "../graph.ts"
import { fullView, type View } from "../view.ts"

interface LaidOut {
  readonly tensor: string
  readonly shape: ReadonlyArray<number>
}

/** @internal */
export const reshapeTensor = (
  graph: Graph,
  tensor: string,
  from: ReadonlyArray<number>,
  to: ReadonlyArray<number>
): string => (isEqual(from, to) ? tensor : graph.node("Reshape", [tensor, graph.shape(to, true)]))

/**
 * The tensor with the given axes of the view in the given order. They must be all axes that are not broadcast. Axes of
 * the tensor that the view does not have, of size 1, come last.
 *
 * @internal
 */
export const permuteTensor = (graph: Graph, view: View, order: ReadonlyArray<number>): LaidOut => {
  const used = order.map((i) => view.axes[i]!)
  if (isAscending(used)) return { tensor: view.tensor, shape: view.tensorShape }
  const perm = [...used, ...range(view.tensorShape.length).filter((axis) => !used.includes(axis))]
  return {
    tensor: graph.node("Transpose", [view.tensor], { perm }),
    shape: perm.map((axis) => view.tensorShape[axis]!)
  }
}

/** The tensor with the axes of the view in order, of size 1 where it is broadcast. @internal */
export const alignTensor = (graph: Graph, view: View): LaidOut => {
  const stored = range(view.shape.length).filter((i) => view.axes[i]! >= 0)
  const shape = view.shape.map((size, i) => (view.axes[i]! >= 0 ? size : 1))
  const permuted = permuteTensor(graph, view, stored)
  return { tensor: reshapeTensor(graph, permuted.tensor, permuted.shape, shape), shape }
}

/** The tensor with the shape of the view: broadcasts are copied. @internal */
export const expandTensor = (graph: Graph, view: View): string => {
  const { shape, tensor } = alignTensor(graph, view)
  return isEqual(shape, view.shape) ? tensor : graph.node("Expand", [tensor, graph.shape(view.shape, false)])
}

/** The view of a tensor with its axes in order. Broadcasts along the axes `expanded` are copied. @internal */
export const contiguousView = (graph: Graph, view: View, expanded: ReadonlyArray<number>): View => {
  const { shape, tensor } = alignTensor(graph, view)
  const wanted = shape.map((size, i) => (expanded.includes(i) ? view.shape[i]! : size))
  const copied = isEqual(shape, wanted) ? tensor : graph.node("Expand", [tensor, graph.shape(wanted, false)])
  return { ...fullView(copied, view.dtype, wanted), shape: view.shape }
}
