/** Recognizes sigmoid and RMS norm in the nodes of a graph, and emits the fused operator of ONNX Runtime. */
import { isEqual, sizeOf } from "../util/shape.ts"
import { reshapeTensor } from "./emit/layout.ts"
import type { Graph } from "./graph.ts"

/** The inputs of the node that computes a tensor, or none if it is not of the given operator. */
const inputsOf = (graph: Graph, tensor: string, op: string): ReadonlyArray<string> => {
  const node = graph.producer(tensor)
  return node?.op === op ? node.inputs : []
}

interface WithConstant {
  readonly tensor: string
  readonly constant: number
}

/** The two inputs of the node that computes a tensor, where one of them is a scalar constant. */
const splitConstant = (graph: Graph, tensor: string, op: string): WithConstant | undefined => {
  const inputs = inputsOf(graph, tensor, op)
  for (const [i, input] of inputs.entries()) {
    const values = graph.constantValues(input)
    if (values?.length === 1) return { tensor: inputs[1 - i]!, constant: values[0]! }
  }
  return undefined
}

/** From this bound on, `1 / (1 + exp(min(-x, bound)))` is 0 in float32, as is the sigmoid. */
const smallestBound = 60

/**
 * The `x` for which `1 / tensor` is the sigmoid of `x`: `tensor` is `1 + exp(-x)`, or `1 + exp(min(-x, bound))` with a
 * large bound.
 *
 * @internal
 */
export const sigmoidInput = (graph: Graph, tensor: string): string | undefined => {
  const sum = splitConstant(graph, tensor, "Add")
  if (sum?.constant !== 1) return undefined
  const exponent = inputsOf(graph, sum.tensor, "Exp")[0] ?? ""
  const bounded = splitConstant(graph, exponent, "Min")
  const isNegligible = bounded !== undefined && bounded.constant >= smallestBound
  return inputsOf(graph, isNegligible ? bounded.tensor : exponent, "Neg")[0]
}

/** The epsilon, where `inverse` is `1 / sqrt(mean(x^2) + eps)` over the last axis, of size `width`. */
const rmsNormEpsilon = (
  graph: Graph,
  inverse: string,
  x: string,
  lastAxis: number,
  width: number
): number | undefined => {
  const root = inputsOf(graph, inputsOf(graph, inverse, "Reciprocal")[0] ?? "", "Sqrt")[0]
  const shifted = root === undefined ? undefined : splitConstant(graph, root, "Add")
  const mean = shifted === undefined ? undefined : splitConstant(graph, shifted.tensor, "Mul")
  if (shifted === undefined || mean === undefined || Math.abs(mean.constant * width - 1) > 1e-6) return undefined
  const [squares, axes] = inputsOf(graph, mean.tensor, "ReduceSum")
  const factors = inputsOf(graph, squares ?? "", "Mul")
  if (!factors.every((factor) => factor === x) || factors.length !== 2) return undefined
  return isEqual(graph.constantValues(axes!) ?? [], [lastAxis]) ? shifted.constant : undefined
}

/** A weight as a tensor of one axis: the input of the graph that it is a reshape of, if it is. */
const flatWeight = (graph: Graph, weight: string, shape: ReadonlyArray<number>, width: number): string => {
  const source = inputsOf(graph, weight, "Reshape")[0] ?? weight
  return isEqual(graph.inputShape(source) ?? [], [width]) ? source : reshapeTensor(graph, weight, shape, [width])
}

/**
 * Emits the product `scaled * weight` as one operator if it is the RMS norm `x / sqrt(mean(x^2) + eps) * weight` along
 * the last axis. Other readers of the reciprocal of the root, such as the gradient, read it from that operator.
 *
 * @internal
 */
export const fuseRmsNorm = (
  graph: Graph,
  scaled: string,
  weight: string,
  shape: ReadonlyArray<number>,
  weightShape: ReadonlyArray<number>
): string | undefined => {
  const width = shape[shape.length - 1]
  if (width === undefined || sizeOf(weightShape) !== width || weightShape[weightShape.length - 1] !== width) return
  const factors = inputsOf(graph, scaled, "Mul")
  for (const [i, inverse] of factors.entries()) {
    const x = factors[1 - i]!
    const epsilon = rmsNormEpsilon(graph, inverse, x, shape.length - 1, width)
    if (epsilon === undefined) continue
    const flat = flatWeight(graph, weight, weightShape, width)
    const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 }
    const [normed, inverseRoot] = graph.nodes("SimplifiedLayerNormalization", [x, flat], attributes, "", 2)
    graph.replace(inverse, inverseRoot!)
    return normed
  }
  return undefined
}
