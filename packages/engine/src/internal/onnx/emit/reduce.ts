/** Emits reductions along axes. */
import { range } from "../../util/shape.ts"
import type { Graph } from "../graph.ts"
import { transpose, type View } from "../view.ts"
import { mul, scalar } from "./elementwise.ts"

const operators: { readonly [op: string]: string } = {
  Add: "ReduceSum",
  Max: "ReduceMax",
  Min: "ReduceMin"
}

/** In opset 17, ReduceSum takes its axes as an input, the other reductions as an attribute. */
const reduceTensor = (graph: Graph, op: string, tensor: string, axes: ReadonlyArray<number>): string =>
  op === "ReduceSum"
    ? graph.node(op, [tensor, graph.intList(axes)], { keepdims: 1 })
    : graph.node(op, [tensor], { axes, keepdims: 1 })

/** Reduces a view along axes, by one of jax-js's operators. @internal */
export const reduce = (graph: Graph, view: View, op: string, axes: ReadonlyArray<number>): View => {
  const kept = transpose(
    view,
    range(view.shape.length).filter((i) => !axes.includes(i))
  )
  if (view.isZero) return kept
  const operator = operators[op]
  if (operator === undefined) throw new TypeError(`cannot lower the reduction ${op} to ONNX`)
  const storedAxes = axes.map((i) => view.axes[i]!).filter((axis) => axis >= 0)
  const reduced: View =
    storedAxes.length === 0
      ? kept
      : {
          ...kept,
          tensor: reduceTensor(graph, operator, view.tensor, storedAxes),
          tensorShape: view.tensorShape.map((size, axis) => (storedAxes.includes(axis) ? 1 : size))
        }
  // a sum along a broadcast axis is a multiple
  const repeats = axes.reduce((size, i) => (view.axes[i]! >= 0 ? size : size * view.shape[i]!), 1)
  if (graph.isDynamic(repeats)) throw new TypeError("cannot lower a sum along a broadcast axis whose size differs")
  return op === "Add" && repeats !== 1 ? mul(graph, reduced, scalar(graph, view.dtype, repeats)) : reduced
}
