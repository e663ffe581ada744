/**
 * The safetensors file format: named tensors in one file, as bytes in memory. Writes F32; reads F32, F16 and BF16, each
 * as `Float32Array`. No I/O is done here.
 *
 * A file is an unsigned 64-bit little-endian length `n`, `n` bytes of JSON that name each tensor's dtype, shape and
 * place, and the data, row-major and little-endian.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

/**
 * A dense tensor, row-major: `data.length` is the product of `shape`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tensor {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SafeTensors {
  readonly tensors: { readonly [name: string]: Tensor }
  readonly metadata: { readonly [key: string]: string }
}

/**
 * The bytes are not a safetensors file that this module can read.
 *
 * @since 0.1.0
 * @category errors
 */
export class SafeTensorsError extends Schema.TaggedError<SafeTensorsError>(
  "@effect-tinker/server/SafeTensors/SafeTensorsError"
)("SafeTensorsError", { reason: Schema.String }) {
  override get message(): string {
    return `not a readable safetensors file: ${this.reason}`
  }
}

const metadataKey = "__metadata__"
const alignment = 8

const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((size, dimension) => size * dimension, 1)

/**
 * A file of F32 tensors, in the order of their names. Equal tensors and metadata give equal bytes.
 *
 * @throws RangeError when a tensor's data does not fit its shape.
 * @since 0.1.0
 * @category conversions
 */
export const encode = (
  tensors: { readonly [name: string]: Tensor },
  metadata: { readonly [key: string]: string } = {}
): Uint8Array<ArrayBuffer> => {
  const entries = Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const header: Array<readonly [string, unknown]> = []
  if (Object.keys(metadata).length > 0) header.push([metadataKey, metadata])
  let end = 0
  for (const [name, { data, shape }] of entries) {
    if (sizeOf(shape) !== data.length || name === metadataKey) {
      throw new RangeError(`tensor ${name} of shape [${shape.join(", ")}] has ${data.length} values`)
    }
    const begin = end
    end += data.byteLength
    header.push([name, { dtype: "F32", shape, data_offsets: [begin, end] }])
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  // spaces behind the JSON align the data
  const length = Math.ceil(json.length / alignment) * alignment
  const out = new Uint8Array(8 + length + end)
  out.fill(0x20, 8, 8 + length)
  out.set(json, 8)
  const view = new DataView(out.buffer)
  view.setBigUint64(0, BigInt(length), true)
  const values = new Float32Array(out.buffer, 8 + length, end / 4)
  let offset = 0
  for (const [, { data }] of entries) {
    values.set(data, offset)
    offset += data.length
  }
  return out
}

const bytesPerValue: { readonly [dtype: string]: number } = { F32: 4, F16: 2, BF16: 2 }

const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const widen = (bytes: Uint8Array, dtype: string): Float32Array => {
  const { buffer, byteLength, byteOffset } = bytes
  if (dtype === "F32") {
    return byteOffset % 4 === 0
      ? new Float32Array(buffer, byteOffset, byteLength / 4)
      : new Float32Array(bytes.slice().buffer)
  }
  const view = new DataView(buffer, byteOffset, byteLength)
  const out = new Float32Array(byteLength / 2)
  if (dtype === "F16") {
    for (let i = 0; i < out.length; i++) out[i] = fromHalf(view.getUint16(i * 2, true))
    return out
  }
  // a BF16 number is the upper half of an F32 number
  const bits = new Uint32Array(out.buffer)
  for (let i = 0; i < bits.length; i++) bits[i] = view.getUint16(i * 2, true) << 16
  return out
}

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

const isSizes = (u: unknown): u is ReadonlyArray<number> =>
  Array.isArray(u) && u.every((n) => Number.isSafeInteger(n) && n >= 0)

/**
 * The tensors of a file. F32 tensors may share the memory of `bytes`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (bytes: Uint8Array): Either.Either<SafeTensors, SafeTensorsError> => {
  const fail = (reason: string) => Either.left(new SafeTensorsError({ reason }))
  if (bytes.length < 8) return fail(`it has ${bytes.length} bytes`)
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true)
  if (length > BigInt(bytes.length - 8)) return fail(`its header of ${length} bytes is longer than the file`)
  const start = 8 + Number(length)
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, start)))
  } catch {
    return fail("its header is not JSON")
  }
  if (!isRecord(header)) return fail("its header is not an object")
  const tensors: Array<readonly [string, Tensor]> = []
  const metadata: Array<readonly [string, string]> = []
  for (const [name, entry] of Object.entries(header)) {
    if (!isRecord(entry)) return fail(`the entry of ${name} is not an object`)
    if (name === metadataKey) {
      for (const [key, value] of Object.entries(entry)) metadata.push([key, String(value)])
      continue
    }
    const { data_offsets: offsets, dtype, shape } = entry
    const width = typeof dtype === "string" ? bytesPerValue[dtype] : undefined
    if (typeof dtype !== "string" || width === undefined) {
      return fail(`${name} has dtype ${String(dtype)}, which is none of F32, F16, BF16`)
    }
    if (!isSizes(shape)) return fail(`${name} has no shape`)
    if (!isSizes(offsets) || offsets.length !== 2) return fail(`${name} has no place`)
    const [begin, end] = offsets as readonly [number, number]
    if (end - begin !== sizeOf(shape) * width) return fail(`${name} does not fit its shape [${shape.join(", ")}]`)
    if (begin > end || start + end > bytes.length) return fail(`${name} lies outside the file`)
    tensors.push([name, { shape, data: widen(bytes.subarray(start + begin, start + end), dtype) }])
  }
  return Either.right({ tensors: Object.fromEntries(tensors), metadata: Object.fromEntries(metadata) })
}
