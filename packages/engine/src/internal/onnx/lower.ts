import type { Jaxpr } from "@jax-js/jax"
import { sizeOf } from "../executors/executor.ts"
import { type DType, Graph } from "./graph.ts"

/**
 * From jax-js's form of a traced program to an ONNX graph.
 *
 * Values are views: transposes, broadcasts and most reshapes only change how a tensor's axes are read. So a broadcast
 * is never spread out in memory, and what the tracer transposes to and fro costs nothing. Operators then bring a view
 * into the form that they need.
 */

interface View {
  readonly tensor: string
  readonly dtype: DType
  /** of the tensor */
  readonly sizes: ReadonlyArray<number>
  readonly shape: ReadonlyArray<number>
  /** for each axis of the shape the tensor's axis, or -1 where all along it is the same */
  readonly axes: ReadonlyArray<number>
  /** all of it is 0 */
  readonly zero: boolean
}

type Eqn = Jaxpr["eqns"][number]
type Atom = Jaxpr["outs"][number]
type Var = Jaxpr["inBinders"][number]

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

const isAscending = (values: ReadonlyArray<number>): boolean => values.every((v, i) => i === 0 || values[i - 1]! < v)

const equal = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i])

const dtypeOf = (dtype: string): DType => {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype
  throw new TypeError(`a program has values of type ${dtype}`)
}

/** A view of a whole tensor. */
const whole = (tensor: string, dtype: DType, sizes: ReadonlyArray<number>): View => ({
  tensor,
  dtype,
  sizes,
  shape: sizes,
  axes: sizes.map((size, i) => (size === 1 ? -1 : i)),
  zero: false
})

const transpose = (view: View, perm: ReadonlyArray<number>): View => ({
  ...view,
  shape: perm.map((i) => view.shape[i]!),
  axes: perm.map((i) => view.axes[i]!)
})

/** The view spread to a shape by numpy's rules. */
const spread = (view: View, shape: ReadonlyArray<number>): View => ({
  ...view,
  shape,
  axes: [...range(shape.length - view.axes.length).map(() => -1), ...view.axes]
})

const spreadShape = (views: ReadonlyArray<View>): ReadonlyArray<number> => {
  const rank = Math.max(...views.map(({ shape }) => shape.length))
  return range(rank).map((i) => Math.max(...views.map(({ shape }) => shape[i - rank + shape.length] ?? 1)))
}

/** The axes of the shape that the tensor has, in the tensor's order. */
const realAxes = ({ axes }: View): ReadonlyArray<number> =>
  range(axes.length)
    .filter((i) => axes[i]! >= 0)
    .sort((a, b) => axes[a]! - axes[b]!)

const unary: { readonly [primitive: string]: string } = {
  neg: "Neg",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  reciprocal: "Reciprocal"
}

const nary: { readonly [primitive: string]: string } = {
  add: "Add",
  mul: "Mul",
  min: "Min",
  max: "Max",
  where: "Where"
}

const reductions: { readonly [op: string]: string } = {
  Add: "ReduceSum",
  Max: "ReduceMax",
  Min: "ReduceMin"
}

/** From how many values on a matrix is worth a product in the order that leaves it in place. */
const largeMatrix = 2 ** 18

class Lowering {
  readonly graph = new Graph()

  scalar(dtype: DType, value: number): View {
    return { ...whole(this.graph.scalar(dtype, value), dtype, []), zero: value === 0 }
  }

  reshapeTensor(tensor: string, from: ReadonlyArray<number>, to: ReadonlyArray<number>): string {
    return equal(from, to) ? tensor : this.graph.node("Reshape", [tensor, this.graph.list(to)])
  }

  /** The tensor with given axes of the view alone, in the given order. */
  ordered(view: View, order: ReadonlyArray<number>): { readonly tensor: string; readonly sizes: Array<number> } {
    const used = order.map((i) => view.axes[i]!)
    const sizes = used.map((axis) => view.sizes[axis]!)
    if (isAscending(used)) return { tensor: view.tensor, sizes }
    const rest = range(view.sizes.length).filter((axis) => !used.includes(axis))
    return { tensor: this.graph.node("Transpose", [view.tensor], { perm: [...used, ...rest] }), sizes }
  }

  /** A tensor in the order of the view's shape, of size 1 where all is the same. */
  aligned(view: View): { readonly tensor: string; readonly sizes: ReadonlyArray<number> } {
    const { shape, axes } = view
    const order = range(shape.length).filter((i) => axes[i]! >= 0)
    const sizes = shape.map((size, i) => (axes[i]! >= 0 ? size : 1))
    const isInOrder = isAscending(order.map((i) => axes[i]!))
    if (isInOrder) return { tensor: this.reshapeTensor(view.tensor, view.sizes, sizes), sizes }
    const { tensor } = this.ordered(view, order)
    const used = order.map((i) => axes[i]!)
    const rest = range(view.sizes.length).filter((axis) => !used.includes(axis))
    const actual = [...used, ...rest].map((axis) => view.sizes[axis]!)
    return { tensor: this.reshapeTensor(tensor, actual, sizes), sizes }
  }

  /** The view as a tensor of its own shape. */
  expanded(view: View): string {
    const { tensor, sizes } = this.aligned(view)
    return equal(sizes, view.shape) ? tensor : this.graph.node("Expand", [tensor, this.graph.list(view.shape)])
  }

  unary(op: string, view: View): View {
    const logistic = op === "Reciprocal" ? this.logisticOf(view.tensor) : undefined
    const tensor = logistic === undefined ? this.graph.node(op, [view.tensor]) : this.graph.node("Sigmoid", [logistic])
    return { ...view, tensor, zero: false }
  }

  /** What the node reads that gives a value, where it has one of the given operators. */
  private inputsOf(tensor: string, op: string): ReadonlyArray<string> {
    const node = this.graph.producer(tensor)
    return node?.op === op ? node.inputs : []
  }

  /** The same, beside the number that a node adds or multiplies with. */
  private withNumber(tensor: string, op: string): readonly [tensor: string, value: number] | undefined {
    const inputs = this.inputsOf(tensor, op)
    for (const [i, input] of inputs.entries()) {
      const values = this.graph.valuesOf(input)
      if (values?.length === 1) return [inputs[1 - i]!, values[0]!]
    }
    return undefined
  }

  /** The x of 1 + exp(-x), or of 1 + exp(min(-x, c)) where c is so large that the reciprocal is about 0 from there on. */
  private logisticOf(tensor: string): string | undefined {
    const sum = this.withNumber(tensor, "Add")
    if (sum?.[1] !== 1) return undefined
    const exponent = this.inputsOf(sum[0], "Exp")[0] ?? ""
    const limited = this.withNumber(exponent, "Min")
    return this.inputsOf(limited !== undefined && limited[1] >= 60 ? limited[0] : exponent, "Neg")[0]
  }

  /**
   * The product of the two values where it is x / sqrt(mean(x^2) + eps) * weight along the last axis, which is an operator
   * by itself. What else reads the reciprocal of the root, as the gradient does, gets it from that operator.
   */
  private normed(
    [scaled, weight]: readonly [string, string],
    sizes: ReadonlyArray<number>,
    weightSizes: ReadonlyArray<number>
  ): string | undefined {
    const width = sizes[sizes.length - 1]
    if (width === undefined || sizeOf(weightSizes) !== width || weightSizes[weightSizes.length - 1] !== width) return
    const factors = this.inputsOf(scaled, "Mul")
    for (const [i, inverse] of factors.entries()) {
      const x = factors[1 - i]!
      const root = this.inputsOf(this.inputsOf(inverse, "Reciprocal")[0] ?? "", "Sqrt")[0]
      const shifted = root === undefined ? undefined : this.withNumber(root, "Add")
      const mean = shifted === undefined ? undefined : this.withNumber(shifted[0], "Mul")
      if (shifted === undefined || mean === undefined || Math.abs(mean[1] * width - 1) > 1e-6) continue
      const [squares, axes] = this.inputsOf(mean[0], "ReduceSum")
      const square = this.inputsOf(squares ?? "", "Mul")
      if (!square.every((factor) => factor === x) || square.length !== 2) continue
      if (!equal(this.graph.valuesOf(axes!) ?? [], [sizes.length - 1])) continue
      const source = this.inputsOf(weight, "Reshape")[0] ?? weight
      const isFlat = equal(this.graph.inputShape(source) ?? [], [width])
      const flat = isFlat ? source : this.reshapeTensor(weight, weightSizes, [width])
      const attributes = { axis: -1, epsilon: { float: shifted[1] }, stash_type: 1 }
      const [out, inverseOut] = this.graph.nodes("SimplifiedLayerNormalization", [x, flat], attributes, "", 2)
      this.graph.replace(inverse, inverseOut!)
      return out
    }
    return undefined
  }

  /** An operator by element on tensors that are ready for it. */
  private elementwise(
    op: string,
    inputs: ReadonlyArray<string>,
    inputSizes: ReadonlyArray<ReadonlyArray<number>>,
    sizes: ReadonlyArray<number>
  ): string {
    if (op === "Mul") {
      const [x, y] = inputs as readonly [string, string]
      const fused = this.normed([x, y], sizes, inputSizes[1]!) ?? this.normed([y, x], sizes, inputSizes[0]!)
      if (fused !== undefined) return fused
    }
    return this.graph.node(op, inputs)
  }

  /** An operator by element. The work is done in the order that the largest of the tensors has. */
  nary(op: string, given: ReadonlyArray<View>, dtype: DType): View {
    const shape = spreadShape(given)
    const views = given.map((view) => spread(view, shape))
    const count = ({ axes }: View) => axes.reduce((size, axis, i) => (axis < 0 ? size : size * shape[i]!), 1)
    const largest = views.reduce((a, b) => (count(b) > count(a) ? b : a))
    const keys: Array<number> = []
    for (let i = 0; i < shape.length; i++) keys.push(largest.axes[i]! >= 0 ? largest.axes[i]! : (keys[i - 1] ?? -1))
    const order = [...range(shape.length)].sort((a, b) => keys[a]! - keys[b]! || a - b)
    const tensors = views.map((view) => this.aligned(transpose(view, order)))
    // what is the same everywhere needs no axes
    const inputs = tensors.map(({ tensor }, i) => (views[i]!.sizes.length === 0 ? views[i]!.tensor : tensor))
    const sizes = order.map((_, j) => Math.max(...tensors.map(({ sizes }) => sizes[j]!)))
    const axes = shape.map((_, i) => {
      const place = order.indexOf(i)
      return sizes[place] === 1 ? -1 : place
    })
    // the operator gives as many axes as the largest input has
    const rank = Math.max(...tensors.map(({ sizes }, i) => (views[i]!.sizes.length === 0 ? 0 : sizes.length)))
    const inputSizes = tensors.map(({ sizes }) => sizes)
    const tensor = this.elementwise(op, inputs, inputSizes, sizes)
    return { tensor, dtype, sizes: rank === 0 ? [] : sizes, shape, axes, zero: false }
  }

  add(x: View, y: View): View {
    const shape = spreadShape([x, y])
    if (x.zero) return spread(y, shape)
    if (y.zero) return spread(x, shape)
    return this.nary("Add", [x, y], x.dtype)
  }

  mul(x: View, y: View): View {
    const shape = spreadShape([x, y])
    if (x.zero || y.zero) return spread(this.scalar(x.dtype, 0), shape)
    return this.nary("Mul", [x, y], x.dtype)
  }

  reduce(view: View, op: string, axes: ReadonlyArray<number>): View {
    const left = range(view.shape.length).filter((i) => !axes.includes(i))
    const rest = transpose(view, left)
    if (view.zero) return rest
    const real = axes.map((i) => view.axes[i]!).filter((axis) => axis >= 0)
    const repeats = axes.reduce((size, i) => (view.axes[i]! >= 0 ? size : size * view.shape[i]!), 1)
    const name = reductions[op]
    if (name === undefined) throw new TypeError(`a program reduces by ${op}`)
    const reduced = (): View => {
      if (real.length === 0) return rest
      const sizes = view.sizes.map((size, axis) => (real.includes(axis) ? 1 : size))
      // before version 18 of the operators, sums alone take their axes as an input
      const tensor =
        op === "Add"
          ? this.graph.node(name, [view.tensor, this.graph.list(real)], { keepdims: 1 })
          : this.graph.node(name, [view.tensor], { axes: real, keepdims: 1 })
      return { ...rest, tensor, sizes }
    }
    const out = reduced()
    return op === "Add" && repeats !== 1 ? this.mul(out, this.scalar(view.dtype, repeats)) : out
  }

  flip(view: View, axes: ReadonlyArray<number>): View {
    let { tensor } = view
    for (const i of axes) {
      const axis = view.axes[i]!
      if (axis < 0) continue
      const indices = [...range(view.shape[i]!)].reverse()
      tensor = this.graph.node("Gather", [tensor, this.graph.list(indices)], { axis })
    }
    return { ...view, tensor }
  }

  /** The view of a tensor that has its axes in their order, and among them all of the given ones. */
  contiguous(view: View, needed: ReadonlyArray<number>): View {
    const { sizes, tensor } = this.aligned(view)
    const full = sizes.map((size, i) => (needed.includes(i) ? view.shape[i]! : size))
    const spreadOut = equal(sizes, full) ? tensor : this.graph.node("Expand", [tensor, this.graph.list(full)])
    return { ...whole(spreadOut, view.dtype, full), shape: view.shape }
  }

  reshape(view: View, shape: ReadonlyArray<number>): View {
    const from = range(view.shape.length).filter((i) => view.shape[i] !== 1)
    const to = range(shape.length).filter((i) => shape[i] !== 1)
    // the tensor's axes, each as what it becomes
    const parts: Array<ReadonlyArray<number>> = view.sizes.map((size) => [size])
    const targets = new Map<number, readonly [axis: number, part: number]>()
    let [i, j] = [0, 0]
    while (i < from.length && j < to.length) {
      const sources = [from[i++]!]
      const group = [to[j++]!]
      let [a, b] = [view.shape[sources[0]!]!, shape[group[0]!]!]
      while (a !== b) {
        if (a < b) {
          sources.push(from[i]!)
          a *= view.shape[from[i++]!]!
        } else {
          group.push(to[j]!)
          b *= shape[to[j++]!]!
        }
      }
      const axes = sources.map((source) => view.axes[source]!)
      if (axes.every((axis) => axis < 0)) continue
      const first = axes[0]!
      // between the axes there may be some of size 1
      const isRun = axes.every(
        (axis, k) =>
          axis >= 0 && (k === 0 || (axis > axes[k - 1]! && sizeOf(view.sizes.slice(axes[k - 1]! + 1, axis)) === 1))
      )
      if (!isRun) return this.reshape(this.contiguous(view, sources), shape)
      for (const axis of axes) parts[axis] = []
      parts[first] = group.map((target) => shape[target]!)
      group.forEach((target, part) => targets.set(target, [first, part]))
    }
    const offsets = range(parts.length).map((axis) => parts.slice(0, axis).flat().length)
    const sizes = parts.flat()
    return {
      ...view,
      tensor: this.reshapeTensor(view.tensor, view.sizes, sizes),
      sizes,
      shape,
      axes: shape.map((_, target) => {
        const found = targets.get(target)
        return found === undefined ? -1 : offsets[found[0]]! + found[1]
      })
    }
  }

  /** The sum of products along the last axis. */
  dot(left: View, right: View): View {
    const shape = spreadShape([left, right])
    const [x, y] = [spread(left, shape), spread(right, shape)]
    const last = shape.length - 1
    const rest = transpose(x, range(last))
    if (x.zero || y.zero) return { ...spread(this.scalar(x.dtype, 0), rest.shape) }
    const [xHas, yHas] = [x.axes[last]! >= 0, y.axes[last]! >= 0]
    if (!xHas && !yHas) return this.reduce(this.mul(x, y), "Add", [last])
    if (!xHas) return this.mul(rest, this.reduce(y, "Add", [last]))
    if (!yHas) return this.mul(this.reduce(x, "Add", [last]), transpose(y, range(last)))
    return this.matmul(x, y, last)
  }

  private matmul(x: View, y: View, last: number, mayExchange = true): View {
    const { shape } = x
    const [xOrder, yOrder] = [realAxes(x), realAxes(y)]
    const xOnly = xOrder.filter((i) => y.axes[i]! < 0)
    const yOnly = yOrder.filter((i) => x.axes[i]! < 0)
    const batchOf = (order: ReadonlyArray<number>) =>
      order.filter((i) => i !== last && x.axes[i]! >= 0 && y.axes[i]! >= 0)
    const leads = (order: ReadonlyArray<number>) => equal(order.slice(0, batchOf(order).length), batchOf(order))
    const batch = leads(xOrder) || !leads(yOrder) ? batchOf(xOrder) : batchOf(yOrder)
    const sizesOf = (axes: ReadonlyArray<number>) => axes.map((i) => shape[i]!)
    // of a matrix that has to be turned, rather the one with fewer rows
    const [xRows, yRows] = [sizeOf(sizesOf(xOnly)), sizeOf(sizesOf(yOnly))]
    if (mayExchange && batch.length === 0 && xOrder[0] === last && xRows > yRows) {
      return this.matmul(y, x, last, false)
    }
    const depth = shape[last]!
    const batches = sizeOf(sizesOf(batch))
    // ONNX Runtime copies the second matrix into another order, which takes longer than the product with few rows
    const isLarge = yRows * depth >= largeMatrix && yOrder[yOrder.length - 1] === last
    if (mayExchange && batch.length === 0 && isLarge && 4 <= xRows && xRows <= 16) {
      const flipped = this.matmul(y, x, last, false)
      const order = [...xOnly, ...yOnly]
      return { ...flipped, ...this.ordered(flipped, order), axes: range(last).map((i) => order.indexOf(i)) }
    }

    /** A matrix (batch, own, depth), or with the last two exchanged. */
    const operand = (view: View, order: ReadonlyArray<number>, own: ReadonlyArray<number>) => {
      const swapped = equal(order, [...batch, last, ...own])
      const wanted = swapped ? order : [...batch, ...own, last]
      const width = sizeOf(sizesOf(own))
      const matrix = swapped ? [depth, width] : [width, depth]
      const target = batch.length === 0 ? matrix : [batches, ...matrix]
      return {
        swapped,
        tensor: this.reshapeTensor(this.ordered(view, wanted).tensor, this.sizesAfter(view, wanted), target)
      }
    }
    const a = operand(x, xOrder, xOnly)
    const b = operand(y, yOrder, yOnly)
    const attributes = { transA: a.swapped ? 1 : 0, transB: b.swapped ? 0 : 1 }
    const product =
      batch.length === 0
        ? this.graph.node("Gemm", [a.tensor, b.tensor], attributes)
        : this.graph.node("FusedMatMul", [a.tensor, b.tensor], attributes, "com.microsoft")
    const order = [...batch, ...xOnly, ...yOnly]
    const matrix = [xRows, yRows]
    const sizes = sizesOf(order)
    return {
      tensor: this.reshapeTensor(product, batch.length === 0 ? matrix : [batches, ...matrix], sizes),
      dtype: x.dtype,
      sizes,
      shape: shape.slice(0, last),
      axes: range(last).map((i) => order.indexOf(i)),
      zero: false
    }
  }

  /** The sizes of what `ordered` gives. */
  private sizesAfter(view: View, order: ReadonlyArray<number>): ReadonlyArray<number> {
    const used = order.map((i) => view.axes[i]!)
    if (isAscending(used)) return view.sizes
    return [...used, ...range(view.sizes.length).filter((axis) => !used.includes(axis))].map(
      (axis) => view.sizes[axis]!
    )
  }

  compare(op: string, x: View, y: View): View {
    switch (op) {
      case "less":
        return this.nary("Less", [x, y], "bool")
      case "less_equal":
        return this.nary("LessOrEqual", [x, y], "bool")
      case "equal":
        return this.nary("Equal", [x, y], "bool")
      case "not_equal":
        return this.unary("Not", this.nary("Equal", [x, y], "bool"))
      default:
        throw new TypeError(`a program compares by ${op}`)
    }
  }

  apply(eqn: Eqn, inputs: ReadonlyArray<View>): View {
    const { params } = eqn
    const primitive: string = eqn.primitive
    const [x, y] = inputs as [View, View]
    if (primitive in unary) return primitive === "neg" && x.zero ? x : this.unary(unary[primitive]!, x)
    switch (primitive) {
      case "stop_gradient":
        return x
      case "add":
        return this.add(x, y)
      case "mul":
        return this.mul(x, y)
      case "min":
      case "max":
        return this.nary(nary[primitive]!, inputs, x.dtype)
      case "where":
        return this.nary("Where", inputs, y.dtype)
      case "compare":
        return this.compare(params["op"] as string, x, y)
      case "reduce":
        return this.reduce(x, params["op"] as string, params["axis"] as Array<number>)
      case "dot":
        return this.dot(x, y)
      case "transpose":
        return transpose(x, params["perm"] as Array<number>)
      case "reshape":
        return this.reshape(x, params["shape"] as Array<number>)
      case "flip":
        return this.flip(x, params["axis"] as Array<number>)
      case "broadcast": {
        const shape = params["shape"] as Array<number>
        const added = params["axis"] as Array<number>
        let next = 0
        return { ...x, shape, axes: shape.map((_, i) => (added.includes(i) ? -1 : x.axes[next++]!)) }
      }
      default:
        throw new TypeError(`a program uses ${primitive}`)
    }
  }

  run(jaxpr: Jaxpr, inputs: ReadonlyArray<View>): ReadonlyArray<View> {
    const views = new Map<Var, View>()
    jaxpr.inBinders.forEach((binder, i) => views.set(binder, inputs[i]!))
    const read = (atom: Atom): View => {
      if ("value" in atom) return this.scalar(dtypeOf(atom.aval.dtype), atom.value)
      return views.get(atom)!
    }
    for (const eqn of jaxpr.eqns) {
      const given = eqn.inputs.map(read)
      const outputs =
        (eqn.primitive as string) === "jit" ? this.run(eqn.params["jaxpr"] as Jaxpr, given) : [this.apply(eqn, given)]
      eqn.outBinders.forEach((binder, i) => views.set(binder, outputs[i]!))
    }
    return jaxpr.outs.map(read)
  }
}

/** @internal */
export interface Lowered {
  readonly model: Uint8Array
  /** the shapes of `out0`, `out1` … */
  readonly outputs: ReadonlyArray<ReadonlyArray<number>>
}

/**
 * Lowers a program whose first inputs are `zeros` constants, all 0, and whose others have the given names.
 *
 * @throws when the program has something that is not known here
 * @internal
 */
export const lower = (jaxpr: Jaxpr, zeros: number, names: ReadonlyArray<string>): Lowered => {
  const lowering = new Lowering()
  const inputs = jaxpr.inBinders.map(({ aval }, i): View => {
    const dtype = dtypeOf(aval.dtype)
    if (i < zeros) return spread(lowering.scalar(dtype, 0), aval.shape)
    const name = names[i - zeros]!
    lowering.graph.input(name, dtype, aval.shape)
    return whole(name, dtype, aval.shape)
  })
  const outputs = lowering.run(jaxpr, inputs)
  outputs.forEach((view, i) => lowering.graph.output(`out${i}`, lowering.expanded(view), view.dtype, view.shape))
  return { model: lowering.graph.finish(), outputs: outputs.map(({ shape }) => shape) }
}
