/** The messages of the ONNX format, by the field numbers of onnx.proto3. */
import { sizeOf } from "../util/shape.ts"
import { Message } from "./protobuf.ts"

/** @internal */
export type DType = "float32" | "int32" | "int64" | "bool" | "uint8"

/** The numbers of TensorProto.DataType. */
const dataTypes: { readonly [dtype in DType]: number } = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 }

/** The numbers of AttributeProto.AttributeType. */
const attributeTypes = { float: 1, int: 2, ints: 7 }

/** The version of the standard operators. */
const opsetVersion = 17
const irVersion = 8

/** The domain of the operators that only ONNX Runtime has. @internal */
export const runtimeDomain = "com.microsoft"

/** @internal */
export type Domain = "" | typeof runtimeDomain

/** Attributes of a node by name: an integer, a list of integers, or a float. @internal */
export type Attributes = { readonly [name: string]: number | ReadonlyArray<number> | { readonly float: number } }

/** @internal */
export interface Node {
  readonly op: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly attributes: Attributes
  readonly domain: Domain
}

const attributeProto = (name: string, value: Attributes[string]): Message => {
  const message = new Message().string(1, name)
  if (typeof value === "number") return message.int(3, value).int(20, attributeTypes.int)
  if ("float" in value) return message.float(2, value.float).int(20, attributeTypes.float)
  return message.ints(8, value).int(20, attributeTypes.ints)
}

/** The name, dtype and shape of an input or output. A size may be a name. @internal */
export const valueInfoProto = (name: string, dtype: DType, shape: ReadonlyArray<number | string>): Message => {
  const dimensions = new Message()
  for (const size of shape) {
    dimensions.message(1, typeof size === "string" ? new Message().string(2, size) : new Message().int(1, size))
  }
  const tensorType = new Message().int(1, dataTypes[dtype]).message(2, dimensions)
  return new Message().string(1, name).message(2, new Message().message(1, tensorType))
}

const littleEndianBytes = (dtype: DType, values: ReadonlyArray<number>, count: number): Uint8Array => {
  const width = dtype === "int64" ? 8 : dtype === "bool" || dtype === "uint8" ? 1 : 4
  const bytes = new DataView(new ArrayBuffer(width * count))
  values.forEach((value, i) => {
    if (dtype === "float32") bytes.setFloat32(4 * i, value, true)
    else if (dtype === "int32") bytes.setInt32(4 * i, value, true)
    else if (dtype === "int64") bytes.setBigInt64(8 * i, BigInt(value), true)
    else bytes.setUint8(i, value)
  })
  return new Uint8Array(bytes.buffer)
}

/** A constant. @internal */
export const tensorProto = (
  name: string,
  dtype: DType,
  shape: ReadonlyArray<number>,
  values: ReadonlyArray<number>
): Message =>
  new Message()
    .ints(1, shape)
    .int(2, dataTypes[dtype])
    .string(8, name)
    .data(9, littleEndianBytes(dtype, values, sizeOf(shape)))

/** A constant whose values the session gets in a file of its name. @internal */
export const externalTensorProto = (name: string, dtype: DType, shape: ReadonlyArray<number>): Message =>
  new Message()
    .ints(1, shape)
    .int(2, dataTypes[dtype])
    .string(8, name)
    .message(13, new Message().string(1, "location").string(2, name))
    .int(14, 1)

const nodeProto = ({ attributes, domain, inputs, op, outputs }: Node): Message => {
  const node = new Message()
  for (const input of inputs) node.string(1, input)
  for (const output of outputs) node.string(2, output)
  node.string(4, op)
  for (const [name, value] of Object.entries(attributes)) node.message(5, attributeProto(name, value))
  if (domain !== "") node.string(7, domain)
  return node
}

/** The bytes of a model file. @internal */
export const encodeModel = (graph: {
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyArray<Message>
  readonly inputs: ReadonlyArray<Message>
  readonly outputs: ReadonlyArray<Message>
}): Uint8Array => {
  const message = new Message().string(2, "program")
  for (const node of graph.nodes) message.message(1, nodeProto(node))
  for (const constant of graph.constants) message.message(5, constant)
  for (const input of graph.inputs) message.message(11, input)
  for (const output of graph.outputs) message.message(12, output)
  return new Message()
    .int(1, irVersion)
    .message(7, message)
    .message(8, new Message().string(1, "").int(2, opsetVersion))
    .message(8, new Message().string(1, runtimeDomain).int(2, 1))
    .finish()
}
