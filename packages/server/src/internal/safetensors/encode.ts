/** Encodes tensors as a safetensors file. */
import { lengthBytes, metadataKey, sizeOf, type Tensor } from "./format.ts"

type NamedTensor = readonly [name: string, tensor: Tensor]

const alignment = 8

/** The JSON header, and the size of the data that it describes. */
const describe = (
  tensors: ReadonlyArray<NamedTensor>,
  metadata: { readonly [key: string]: string }
): { readonly json: Uint8Array; readonly dataBytes: number } => {
  const header: Array<readonly [string, unknown]> = []
  if (Object.keys(metadata).length > 0) header.push([metadataKey, metadata])
  let end = 0
  for (const [name, { data, shape }] of tensors) {
    if (sizeOf(shape) !== data.length || name === metadataKey) {
      throw new RangeError(`tensor ${name} of shape [${shape.join(", ")}] has ${data.length} values`)
    }
    const begin = end
    end += data.byteLength
    header.push([name, { dtype: "F32", shape, data_offsets: [begin, end] }])
  }
  return { json: new TextEncoder().encode(JSON.stringify(Object.fromEntries(header))), dataBytes: end }
}

/** Throws a `RangeError` if the data of a tensor does not fit its shape. @internal */
export const encode = (
  tensors: { readonly [name: string]: Tensor },
  metadata: { readonly [key: string]: string }
): Uint8Array<ArrayBuffer> => {
  const sorted = Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const { dataBytes, json } = describe(sorted, metadata)
  const headerBytes = Math.ceil(json.length / alignment) * alignment
  const dataStart = lengthBytes + headerBytes
  const out = new Uint8Array(dataStart + dataBytes)
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true)
  // spaces after the JSON align the data
  out.fill(0x20, lengthBytes, dataStart)
  out.set(json, lengthBytes)
  const values = new Float32Array(out.buffer, dataStart, dataBytes / 4)
  let offset = 0
  for (const [, { data }] of sorted) {
    values.set(data, offset)
    offset += data.length
  }
  return out
}
