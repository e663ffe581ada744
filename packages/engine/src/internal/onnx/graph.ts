/** Builds an ONNX graph. Equal constants and equal nodes are merged, and nodes that no output needs are dropped. */
import type { Message } from "./protobuf.ts"
import type { QuantizedMatrix } from "./quantized.ts"
import {
  type Attributes,
  type Domain,
  type DType,
  encodeModel,
  externalTensorProto,
  type Node,
  tensorProto,
  valueInfoProto
} from "./proto.ts"

interface Constant {
  readonly message: Message
  readonly values: ReadonlyArray<number>
}

interface Input {
  readonly message: Message
  readonly shape: ReadonlyArray<number>
}

/** A size of the program that differs from run to run: `marker` stands for it, and `typical` is a usual one. @internal */
export interface Marker {
  readonly marker: number
  readonly typical: number
}

/** Values of a constant that are not part of the model file. @internal */
export interface External {
  readonly path: string
  readonly data: Uint8Array
}

/** A graph under construction. Tensors are identified by name. @internal */
export class Graph {
  private readonly markers: ReadonlyArray<Marker>
  /** where the size of a marker is found: an axis of an input */
  private readonly sources = new Map<number, readonly [input: string, axis: number]>()
  private readonly inputs = new Map<string, Input>()
  private readonly outputs = new Map<string, Message>()
  private readonly constants = new Map<string, Constant>()
  private readonly externals = new Map<string, External & { readonly message: Message }>()
  private readonly producers = new Map<string, Node>()
  private readonly replacements = new Map<string, string>()
  /** names by a key of the constant or node, to merge equal ones */
  private readonly known = new Map<string, string>()
  private count = 0

  /** matrices by the names of the tensors that stand for them */
  readonly quantized: { readonly [name: string]: QuantizedMatrix }

  constructor(markers: ReadonlyArray<Marker> = [], quantized: { readonly [name: string]: QuantizedMatrix } = {}) {
    this.markers = markers
    this.quantized = quantized
  }

  private freshName(): string {
    this.count += 1
    return `t${this.count}`
  }

  private constant(dtype: DType, shape: ReadonlyArray<number>, values: ReadonlyArray<number>): string {
    const key = `${dtype} ${shape.join(",")} ${values.map((value) => (Object.is(value, -0) ? "-0" : value)).join(",")}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const name = this.freshName()
    this.known.set(key, name)
    this.constants.set(name, { message: tensorProto(name, dtype, shape, values), values })
    return name
  }

  /** A scalar constant. */
  scalar(dtype: DType, value: number): string {
    return this.constant(dtype, [], [value])
  }

  /** A large constant, which the session gets beside the model file. */
  external(name: string, dtype: DType, shape: ReadonlyArray<number>, values: Uint8Array | Float32Array): string {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    this.externals.set(name, { path: name, data, message: externalTensorProto(name, dtype, shape) })
    return name
  }

  /** The values of all large constants. */
  get externalData(): ReadonlyArray<External> {
    return Array.from(this.externals.values(), ({ data, path }) => ({ path, data }))
  }

  /** A constant list of int64, the form in which operators take shapes and axes. */
  intList(values: ReadonlyArray<number>): string {
    return this.constant("int64", [values.length], values)
  }

  private markersOf(size: number): ReadonlyArray<Marker> {
    return size === 0 ? [] : this.markers.filter(({ marker }) => size % marker === 0)
  }

  /** Whether a size differs from run to run. */
  isDynamic(size: number): boolean {
    return this.markersOf(size).length > 0
  }

  /** What a size is in a typical run. */
  typicalSize(size: number): number {
    return this.markersOf(size).reduce((product, { marker, typical }) => (product / marker) * typical, size)
  }

  /** A tensor of one element with a size that differs from run to run. */
  private dynamicSize(size: number): string {
    let rest = size
    const factors: Array<string> = []
    for (const { marker } of this.markersOf(size)) {
      const [input, axis] = this.sources.get(marker)!
      rest /= marker
      factors.push(this.node("Gather", [this.node("Shape", [input]), this.intList([axis])], { axis: 0 }))
    }
    if (rest !== 1) factors.push(this.intList([rest]))
    return factors.reduce((product, factor) => this.node("Mul", [product, factor]))
  }

  /** A shape for Expand, or with `infers` for Reshape, which works out one size itself. */
  shape(sizes: ReadonlyArray<number>, infers: boolean): string {
    const dynamic = sizes.filter((size) => this.isDynamic(size))
    if (dynamic.length === 0) return this.intList(sizes)
    if (infers && dynamic.length === 1) return this.intList(sizes.map((size) => (size === dynamic[0] ? -1 : size)))
    const parts = sizes.map((size) => (this.isDynamic(size) ? this.dynamicSize(size) : this.intList([size])))
    return this.node("Concat", parts, { axis: 0 })
  }

  /** The values of a constant, or `undefined` for other tensors. */
  constantValues(name: string): ReadonlyArray<number> | undefined {
    return this.constants.get(name)?.values
  }

  /** The shape of an input of the graph, or `undefined` for other tensors. */
  inputShape(name: string): ReadonlyArray<number> | undefined {
    return this.inputs.get(name)?.shape
  }

  /** The node that computes a tensor. */
  producer(name: string): Node | undefined {
    return this.producers.get(name)
  }

  /** Declares an input. */
  input(name: string, dtype: DType, shape: ReadonlyArray<number>): void {
    shape.forEach((size, axis) => {
      if (this.markers.some(({ marker }) => marker === size)) this.sources.set(size, [name, axis])
    })
    this.inputs.set(name, { message: valueInfoProto(name, dtype, this.declared(shape)), shape })
  }

  /** Declares an output that has the value of a tensor. */
  output(name: string, tensor: string, dtype: DType, shape: ReadonlyArray<number>): void {
    this.producers.set(name, { op: "Identity", inputs: [tensor], outputs: [name], attributes: {}, domain: "" })
    this.outputs.set(name, valueInfoProto(name, dtype, this.declared(shape)))
  }

  /** The shape as it is declared: sizes that differ from run to run have names. */
  private declared(shape: ReadonlyArray<number>): ReadonlyArray<number | string> {
    return shape.map((size) => (this.isDynamic(size) ? `n${size}` : size))
  }

  /** Adds an operator with `count` outputs, or finds the equal one that was added before. */
  nodes(
    op: string,
    inputs: ReadonlyArray<string>,
    attributes: Attributes,
    domain: Domain,
    count: number
  ): ReadonlyArray<string> {
    const key = `${op} ${inputs.join(" ")} ${JSON.stringify(attributes)}`
    const known = this.known.get(key)
    if (known !== undefined) return this.producers.get(known)!.outputs
    const outputs = Array.from({ length: count }, () => this.freshName())
    this.known.set(key, outputs[0]!)
    const node: Node = { op, inputs, outputs, attributes, domain }
    for (const output of outputs) this.producers.set(output, node)
    return outputs
  }

  /** Adds an operator with one output. */
  node(op: string, inputs: ReadonlyArray<string>, attributes: Attributes = {}, domain: Domain = ""): string {
    return this.nodes(op, inputs, attributes, domain, 1)[0]!
  }

  /** Makes all nodes that read `tensor` read `replacement`, which must be equal to it. */
  replace(tensor: string, replacement: string): void {
    this.replacements.set(tensor, replacement)
  }

  private resolve(name: string): string {
    return this.replacements.get(name) ?? name
  }

  /** The nodes that the outputs depend on, in topological order. */
  private sortedNodes(): ReadonlyArray<Node> {
    const sorted = new Set<Node>()
    const visited = new Set<Node>()
    const stack = [...this.outputs.keys()].reverse()
    while (stack.length > 0) {
      const node = this.producers.get(stack[stack.length - 1]!)
      if (node === undefined || sorted.has(node)) stack.pop()
      else if (visited.has(node)) {
        sorted.add(node)
        stack.pop()
      } else {
        visited.add(node)
        for (const input of node.inputs) stack.push(this.resolve(input))
      }
    }
    return [...sorted]
  }

  /** Encodes the graph as a model file. */
  finish(): Uint8Array {
    const nodes = this.sortedNodes().map((node) => ({
      ...node,
      inputs: node.inputs.map((name) => this.resolve(name))
    }))
    const used = new Set(nodes.flatMap(({ inputs }) => inputs))
    return encodeModel({
      nodes,
      constants: [...this.constants, ...this.externals]
        .filter(([name]) => used.has(name))
        .map(([, { message }]) => message),
      inputs: [...this.inputs.values()].map(({ message }) => message),
      outputs: [...this.outputs.values()]
    })
  }
}
