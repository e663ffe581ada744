/** Lowers a traced program, a jaxpr of jax-js, to an ONNX model. */
import type { Jaxpr } from "@jax-js/jax"
import { add, compare, mul, nary, scalar, unary } from "./emit/elementwise.ts"
import { expandTensor } from "./emit/layout.ts"
import { dot } from "./emit/matmul.ts"
import { flip, pad, reshape, shrink } from "./emit/movement.ts"
import { reduce } from "./emit/reduce.ts"
import { type External, Graph, type Marker } from "./graph.ts"
import type { QuantizedMatrix } from "./quantized.ts"
import { broadcastTo, dtypeOf, fullView, insertAxes, transpose, type View } from "./view.ts"

type Equation = Jaxpr["eqns"][number]
type Atom = Jaxpr["outs"][number]
type Variable = Jaxpr["inBinders"][number]

const unaryOperators: { readonly [primitive: string]: string } = {
  neg: "Neg",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  reciprocal: "Reciprocal"
}

/** Emits one equation. */
const lowerEquation = (graph: Graph, { params, primitive }: Equation, inputs: ReadonlyArray<View>): View => {
  const [x, y] = inputs as [View, View]
  const unaryOperator = unaryOperators[primitive]
  if (unaryOperator !== undefined) return primitive === "neg" && x.isZero ? x : unary(graph, unaryOperator, x)
  switch (primitive as string) {
    case "stop_gradient":
      return x
    case "add":
      return add(graph, x, y)
    case "mul":
      return mul(graph, x, y)
    case "min":
      return nary(graph, "Min", inputs, x.dtype)
    case "max":
      return nary(graph, "Max", inputs, x.dtype)
    case "where":
      return nary(graph, "Where", inputs, y.dtype)
    case "compare":
      return compare(graph, params["op"] as string, x, y)
    case "reduce":
      return reduce(graph, x, params["op"] as string, params["axis"] as Array<number>)
    case "dot":
      return dot(graph, x, y)
    case "transpose":
      return transpose(x, params["perm"] as Array<number>)
    case "reshape":
      return reshape(graph, x, params["shape"] as Array<number>)
    case "flip":
      return flip(graph, x, params["axis"] as Array<number>)
    case "shrink":
      return shrink(graph, x, params["slice"] as Array<[number, number]>)
    case "pad":
      return pad(graph, x, params["width"] as Array<[number, number]>)
    case "broadcast":
      return insertAxes(x, params["shape"] as Array<number>, params["axis"] as Array<number>)
    default:
      throw new TypeError(`cannot lower the primitive ${primitive} to ONNX`)
  }
}

/** Emits all equations of a jaxpr, nested ones included, and returns its outputs. */
const lowerJaxpr = (graph: Graph, jaxpr: Jaxpr, inputs: ReadonlyArray<View>): ReadonlyArray<View> => {
  const views = new Map<Variable, View>()
  const read = (atom: Atom): View =>
    "value" in atom ? scalar(graph, dtypeOf(atom.aval.dtype), atom.value) : views.get(atom)!
  jaxpr.inBinders.forEach((binder, i) => views.set(binder, inputs[i]!))
  for (const equation of jaxpr.eqns) {
    const given = equation.inputs.map(read)
    const outputs =
      (equation.primitive as string) === "jit"
        ? lowerJaxpr(graph, equation.params["jaxpr"] as Jaxpr, given)
        : [lowerEquation(graph, equation, given)]
    equation.outBinders.forEach((binder, i) => views.set(binder, outputs[i]!))
  }
  return jaxpr.outs.map(read)
}

/** @internal */
export interface Lowered {
  /** the bytes of an ONNX model */
  readonly model: Uint8Array
  /** the shapes of the outputs, which are named `out0`, `out1` …; with markers */
  readonly outputs: ReadonlyArray<ReadonlyArray<number>>
  /** constants beside the model */
  readonly external: ReadonlyArray<External>
}

/**
 * Lowers a jaxpr. Its first `zeroConstants` inputs are constants of zeros; the model has the other inputs, by `names`.
 * Sizes with `markers` as factors may differ from run to run. Inputs with names in `quantized` become constants.
 *
 * @throws TypeError for primitives, comparisons, reductions and dtypes that the engine's programs do not use
 * @internal
 */
export const lower = (
  jaxpr: Jaxpr,
  zeroConstants: number,
  names: ReadonlyArray<string>,
  markers: ReadonlyArray<Marker> = [],
  quantized: { readonly [name: string]: QuantizedMatrix } = {}
): Lowered => {
  const graph = new Graph(markers, quantized)
  const inputs = jaxpr.inBinders.map(({ aval }, i): View => {
    const dtype = dtypeOf(aval.dtype)
    if (i < zeroConstants) return broadcastTo(scalar(graph, dtype, 0), aval.shape)
    const name = names[i - zeroConstants]!
    if (!Object.hasOwn(quantized, name)) graph.input(name, dtype, aval.shape)
    return fullView(name, dtype, aval.shape)
  })
  const outputs = lowerJaxpr(graph, jaxpr, inputs)
  outputs.forEach((view, i) => graph.output(`out${i}`, expandTensor(graph, view), view.dtype, view.shape))
  return { model: graph.finish(), outputs: outputs.map(({ shape }) => shape), external: graph.externalData }
}
