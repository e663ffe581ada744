/**
 * Values of a program while it is lowered to ONNX: views of tensors in the graph.
 *
 * Transposes, broadcasts and most reshapes only change the axes of a view and emit no operator. A broadcast is never
 * copied in memory, and pairs of transposes that the tracer inserts cancel out. Operators bring a view into the memory
 * layout that they need.
 */
import { range } from "../util/shape.ts"
import type { DType } from "./proto.ts"

/** A tensor of the graph, read in another order of axes, or broadcast along some of them. @internal */
export interface View {
  /** the name of the tensor in the graph */
  readonly tensor: string
  readonly dtype: DType
  readonly tensorShape: ReadonlyArray<number>
  readonly shape: ReadonlyArray<number>
  /** for each axis of `shape`, the axis of the tensor, or -1 where the tensor is broadcast */
  readonly axes: ReadonlyArray<number>
  /** whether every element is known to be 0 */
  readonly isZero: boolean
}

/** The dtype of a value of jax-js. @internal */
export const dtypeOf = (dtype: string): DType => {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype
  throw new TypeError(`cannot lower a value of dtype ${dtype} to ONNX`)
}

/** A view with the shape of its tensor. @internal */
export const fullView = (tensor: string, dtype: DType, shape: ReadonlyArray<number>): View => ({
  tensor,
  dtype,
  tensorShape: shape,
  shape,
  axes: shape.map((size, i) => (size === 1 ? -1 : i)),
  isZero: false
})

/** Permutes the axes of a view. Axes that `perm` leaves out are dropped. @internal */
export const transpose = (view: View, perm: ReadonlyArray<number>): View => ({
  ...view,
  shape: perm.map((i) => view.shape[i]!),
  axes: perm.map((i) => view.axes[i]!)
})

/** Broadcasts a view by the rules of NumPy. @internal */
export const broadcastTo = (view: View, shape: ReadonlyArray<number>): View => ({
  ...view,
  shape,
  axes: [...range(shape.length - view.axes.length).map(() => -1), ...view.axes]
})

/** The shape to which views are broadcast together. @internal */
export const broadcastShape = (views: ReadonlyArray<View>): ReadonlyArray<number> => {
  const rank = Math.max(...views.map(({ shape }) => shape.length))
  return range(rank).map((i) => Math.max(...views.map(({ shape }) => shape[i - rank + shape.length] ?? 1)))
}

/** Inserts broadcast axes, at the places `inserted` of the new shape. @internal */
export const insertAxes = (view: View, shape: ReadonlyArray<number>, inserted: ReadonlyArray<number>): View => {
  let next = 0
  return { ...view, shape, axes: shape.map((_, i) => (inserted.includes(i) ? -1 : view.axes[next++]!)) }
}

/** The axes of a view that are not broadcast, in the order of the tensor in memory. @internal */
export const storedAxes = ({ axes }: View): ReadonlyArray<number> =>
  range(axes.length)
    .filter((i) => axes[i]! >= 0)
    .sort((a, b) => axes[a]! - axes[b]!)
