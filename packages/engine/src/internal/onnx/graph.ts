import { sizeOf } from "../executors/executor.ts"
import { Message } from "./protobuf.ts"

/** @internal */
export type DType = "float32" | "int32" | "int64" | "bool"

// TensorProto.DataType
const dtypes: { readonly [dtype in DType]: number } = { float32: 1, int32: 6, int64: 7, bool: 9 }

/** An attribute of a node: an integer, a list of integers, or a float. @internal */
export type Attributes = { readonly [name: string]: number | ReadonlyArray<number> | { readonly float: number } }

const attribute = (name: string, value: Attributes[string]): Message => {
  const message = new Message().string(1, name)
  if (typeof value === "number") return message.int(3, value).int(20, 2)
  if ("float" in value) return message.float(2, value.float).int(20, 1)
  return message.ints(8, value).int(20, 7)
}

const valueInfo = (name: string, dtype: DType, shape: ReadonlyArray<number>): Message => {
  const dimensions = new Message()
  for (const size of shape) dimensions.message(1, new Message().int(1, size))
  const tensor = new Message().int(1, dtypes[dtype]).message(2, dimensions)
  return new Message().string(1, name).message(2, new Message().message(1, tensor))
}

// The standard operators in the version that is asked for, and those of ONNX Runtime.
const opset = 17
const irVersion = 8
const runtimeDomain = "com.microsoft"

type Domain = "" | typeof runtimeDomain

/** @internal */
export interface Node {
  readonly op: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly attributes: Attributes
  readonly domain: Domain
}

interface Constant {
  readonly message: Message
  readonly values: ReadonlyArray<number>
}

/** A graph in the making. Equal constants and equal nodes are one, and what no output needs is left out. @internal */
export class Graph {
  private readonly inputs = new Map<string, { readonly message: Message; readonly shape: ReadonlyArray<number> }>()
  private readonly outputs = new Map<string, Message>()
  private readonly constants = new Map<string, Constant>()
  private readonly producers = new Map<string, Node>()
  private readonly aliases = new Map<string, string>()
  private readonly known = new Map<string, string>()
  private count = 0

  private fresh(): string {
    this.count += 1
    return `t${this.count}`
  }

  private constant(dtype: DType, shape: ReadonlyArray<number>, values: ReadonlyArray<number>): string {
    const key = `${dtype} ${shape.join(",")} ${values.map((value) => (Object.is(value, -0) ? "-0" : value)).join(",")}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const name = this.fresh()
    this.known.set(key, name)
    const width = dtype === "int64" ? 8 : dtype === "bool" ? 1 : 4
    const bytes = new DataView(new ArrayBuffer(width * sizeOf(shape)))
    values.forEach((value, i) => {
      if (dtype === "float32") bytes.setFloat32(4 * i, value, true)
      else if (dtype === "int32") bytes.setInt32(4 * i, value, true)
      else if (dtype === "int64") bytes.setBigInt64(8 * i, BigInt(value), true)
      else bytes.setUint8(i, value)
    })
    const tensor = new Message().ints(1, shape).int(2, dtypes[dtype]).string(8, name)
    this.constants.set(name, { message: tensor.data(9, new Uint8Array(bytes.buffer)), values })
    return name
  }

  scalar(dtype: DType, value: number): string {
    return this.constant(dtype, [], [value])
  }

  /** A list of integers, as shapes and axes are given. */
  list(values: ReadonlyArray<number>): string {
    return this.constant("int64", [values.length], values)
  }

  /** The values of a constant. */
  valuesOf(name: string): ReadonlyArray<number> | undefined {
    return this.constants.get(name)?.values
  }

  inputShape(name: string): ReadonlyArray<number> | undefined {
    return this.inputs.get(name)?.shape
  }

  /** The node that gives a value. */
  producer(name: string): Node | undefined {
    return this.producers.get(name)
  }

  input(name: string, dtype: DType, shape: ReadonlyArray<number>): void {
    this.inputs.set(name, { message: valueInfo(name, dtype, shape), shape })
  }

  output(name: string, value: string, dtype: DType, shape: ReadonlyArray<number>): void {
    this.producers.set(name, { op: "Identity", inputs: [value], outputs: [name], attributes: {}, domain: "" })
    this.outputs.set(name, valueInfo(name, dtype, shape))
  }

  /** The outputs of an operator. */
  nodes(op: string, inputs: ReadonlyArray<string>, attributes: Attributes, domain: Domain, count: number) {
    const key = `${op} ${inputs.join(" ")} ${JSON.stringify(attributes)}`
    const known = this.known.get(key)
    if (known !== undefined) return this.producers.get(known)!.outputs
    const outputs = Array.from({ length: count }, () => this.fresh())
    this.known.set(key, outputs[0]!)
    const node: Node = { op, inputs, outputs, attributes, domain }
    for (const output of outputs) this.producers.set(output, node)
    return outputs
  }

  /** The output of an operator. */
  node(op: string, inputs: ReadonlyArray<string>, attributes: Attributes = {}, domain: Domain = ""): string {
    return this.nodes(op, inputs, attributes, domain, 1)[0]!
  }

  /** Whatever reads the one value reads the other, which is equal, instead. */
  replace(value: string, by: string): void {
    this.aliases.set(value, by)
  }

  private resolve(name: string): string {
    return this.aliases.get(name) ?? name
  }

  /** The nodes that the outputs need, each after those that it needs. */
  private needed(): ReadonlyArray<Node> {
    const order = new Set<Node>()
    const entered = new Set<Node>()
    const waiting = [...this.outputs.keys()].reverse()
    while (waiting.length > 0) {
      const node = this.producers.get(waiting[waiting.length - 1]!)
      if (node === undefined || order.has(node)) waiting.pop()
      else if (entered.has(node)) {
        order.add(node)
        waiting.pop()
      } else {
        entered.add(node)
        for (const input of node.inputs) waiting.push(this.resolve(input))
      }
    }
    return [...order]
  }

  /** The model, as a file would have it. */
  finish(): Uint8Array {
    const graph = new Message().string(2, "program")
    const used = new Set<string>()
    for (const { attributes, domain, inputs, op, outputs } of this.needed()) {
      const node = new Message()
      for (const input of inputs.map((name) => this.resolve(name))) {
        used.add(input)
        node.string(1, input)
      }
      for (const output of outputs) node.string(2, output)
      node.string(4, op)
      for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value))
      if (domain !== "") node.string(7, domain)
      graph.message(1, node)
    }
    for (const [name, { message }] of this.constants) if (used.has(name)) graph.message(5, message)
    for (const { message } of this.inputs.values()) graph.message(11, message)
    for (const output of this.outputs.values()) graph.message(12, output)
    return new Message()
      .int(1, irVersion)
      .message(7, graph)
      .message(8, new Message().string(1, "").int(2, opset))
      .message(8, new Message().string(1, runtimeDomain).int(2, 1))
      .finish()
  }
}
