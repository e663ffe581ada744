import { sizeOf } from "./executor.ts"
import { Message } from "./protobuf.ts"

/** @internal */
export type DType = "float32" | "int32" | "int64" | "bool"

// TensorProto.DataType
const dtypes: { readonly [dtype in DType]: number } = { float32: 1, int32: 6, int64: 7, bool: 9 }

/** An attribute of a node: an integer, or a list of integers. @internal */
export type Attributes = { readonly [name: string]: number | ReadonlyArray<number> }

const attribute = (name: string, value: number | ReadonlyArray<number>): Message =>
  typeof value === "number"
    ? new Message().string(1, name).int(3, value).int(20, 2)
    : new Message().string(1, name).ints(8, value).int(20, 7)

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

/** A graph in the making. Equal constants and equal nodes are one. @internal */
export class Graph {
  private readonly message = new Message().string(2, "program")
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
    this.message.message(5, tensor.data(9, new Uint8Array(bytes.buffer)))
    return name
  }

  scalar(dtype: DType, value: number): string {
    return this.constant(dtype, [], [value])
  }

  /** A list of integers, as shapes and axes are given. */
  list(values: ReadonlyArray<number>): string {
    return this.constant("int64", [values.length], values)
  }

  input(name: string, dtype: DType, shape: ReadonlyArray<number>): void {
    this.message.message(11, valueInfo(name, dtype, shape))
  }

  output(name: string, value: string, dtype: DType, shape: ReadonlyArray<number>): void {
    this.emit("Identity", [value], name, {}, "")
    this.message.message(12, valueInfo(name, dtype, shape))
  }

  private emit(
    op: string,
    inputs: ReadonlyArray<string>,
    output: string,
    attributes: Attributes,
    domain: "" | typeof runtimeDomain
  ): void {
    const node = new Message()
    for (const input of inputs) node.string(1, input)
    node.string(2, output).string(4, op)
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value))
    if (domain !== "") node.string(7, domain)
    this.message.message(1, node)
  }

  /** The output of an operator. */
  node(
    op: string,
    inputs: ReadonlyArray<string>,
    attributes: Attributes = {},
    domain: "" | typeof runtimeDomain = ""
  ): string {
    const key = `${op} ${inputs.join(" ")} ${JSON.stringify(attributes)}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const output = this.fresh()
    this.known.set(key, output)
    this.emit(op, inputs, output, attributes, domain)
    return output
  }

  /** The model, as a file would have it. */
  finish(): Uint8Array {
    return new Message()
      .int(1, irVersion)
      .message(7, this.message)
      .message(8, new Message().string(1, "").int(2, opset))
      .message(8, new Message().string(1, runtimeDomain).int(2, 1))
      .finish()
  }
}
