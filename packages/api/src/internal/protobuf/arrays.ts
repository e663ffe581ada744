/** Converts between typed arrays and little-endian bytes at any position of a buffer. */

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

type Numbers = Int32Array | Float32Array | BigInt64Array

const swapped = (bytes: Uint8Array, width: number): Uint8Array => {
  const out = new Uint8Array(bytes.length)
  for (let i = 0; i < bytes.length; i += width) {
    for (let j = 0; j < width; j++) out[i + j] = bytes[i + width - 1 - j]!
  }
  return out
}

/** The memory of an array as little-endian bytes: a view on little-endian machines, else a copy. @internal */
export const bytesOf = (data: Numbers): Uint8Array => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return littleEndian ? bytes : swapped(bytes, data.BYTES_PER_ELEMENT)
}

/** The buffer and the offset of the bytes, or of an aligned copy of them. */
const aligned = (bytes: Uint8Array, width: number): { readonly buffer: ArrayBufferLike; readonly offset: number } => {
  if (!littleEndian) return { buffer: swapped(bytes, width).buffer, offset: 0 }
  return bytes.byteOffset % width === 0
    ? { buffer: bytes.buffer, offset: bytes.byteOffset }
    : { buffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength), offset: 0 }
}

/** A view of the bytes if they are aligned, else a copy. @internal */
export const int32Of = (bytes: Uint8Array): Int32Array => {
  const { buffer, offset } = aligned(bytes, 4)
  return new Int32Array(buffer, offset, bytes.byteLength >>> 2)
}

/** A view of the bytes if they are aligned, else a copy. @internal */
export const float32Of = (bytes: Uint8Array): Float32Array => {
  const { buffer, offset } = aligned(bytes, 4)
  return new Float32Array(buffer, offset, bytes.byteLength >>> 2)
}

/** bfloat16 values, which are the upper halves of float32 values. @internal */
export const float32OfBfloat16 = (bytes: Uint8Array): Float32Array => {
  const { buffer, offset } = aligned(bytes, 2)
  const halves = new Uint16Array(buffer, offset, bytes.byteLength >>> 1)
  const words = new Uint32Array(halves.length)
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16
  return new Float32Array(words.buffer)
}

/** int64 values, as int32 if all of them fit. @internal */
export const integersOf = (bytes: Uint8Array): Int32Array | BigInt64Array => {
  const { buffer, offset } = aligned(bytes, 4)
  const words = new Int32Array(buffer, offset, bytes.byteLength >>> 2)
  const out = new Int32Array(words.length >>> 1)
  for (let i = 0; i < out.length; i++) {
    const low = littleEndian ? words[2 * i]! : words[2 * i + 1]!
    const high = littleEndian ? words[2 * i + 1]! : words[2 * i]!
    if (high !== low >> 31) {
      const wide = aligned(bytes, 8)
      return new BigInt64Array(wide.buffer, wide.offset, bytes.byteLength >>> 3)
    }
    out[i] = low
  }
  return out
}

/** Writes int64 values. @internal */
export const writeInt64 = (
  target: Uint8Array,
  view: DataView,
  position: number,
  data: Int32Array | BigInt64Array
): void => {
  if (data instanceof BigInt64Array) {
    target.set(bytesOf(data), position)
    return
  }
  for (let i = 0, at = position; i < data.length; i++, at += 8) {
    const value = data[i]!
    view.setInt32(at, value, true)
    view.setInt32(at + 4, value >> 31, true)
  }
}
