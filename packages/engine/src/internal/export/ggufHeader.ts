/** The header of a GGUF file: its metadata, and where its tensors are. */
import type { Metadata, Value } from "./ggufMetadata.ts"

/** @internal */
export interface Tensor {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  /** the number of its format */
  readonly type: number
  readonly bytes: number
}

/** Tensors begin at multiples of so many bytes. */
const alignment = 32

/** How many bytes there are up to the next multiple. @internal */
export const padding = (bytes: number): number => (alignment - (bytes % alignment)) % alignment

const types = { u32: 4, f32: 6, bool: 7, string: 8, array: 9, i32: 5 } as const

const utf8 = new TextEncoder()

/** Bytes that grow. */
class Bytes {
  private bytes = new Uint8Array(2 ** 16)
  private view = new DataView(this.bytes.buffer)
  private length = 0

  private grow(count: number): number {
    const at = this.length
    this.length += count
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.bytes.length))
      larger.set(this.bytes)
      this.bytes = larger
      this.view = new DataView(larger.buffer)
    }
    return at
  }

  u32(value: number): void {
    const at = this.grow(4)
    this.view.setUint32(at, value, true)
  }

  i32(value: number): void {
    const at = this.grow(4)
    this.view.setInt32(at, value, true)
  }

  f32(value: number): void {
    const at = this.grow(4)
    this.view.setFloat32(at, value, true)
  }

  u64(value: number): void {
    const at = this.grow(8)
    this.view.setBigUint64(at, BigInt(value), true)
  }

  bool(value: boolean): void {
    const at = this.grow(1)
    this.view.setUint8(at, value ? 1 : 0)
  }

  string(value: string): void {
    const encoded = utf8.encode(value)
    this.u64(encoded.length)
    const at = this.grow(encoded.length)
    this.bytes.set(encoded, at)
  }

  zeros(count: number): void {
    this.grow(count)
  }

  done(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  get size(): number {
    return this.length
  }
}

const writeArray = <A>(out: Bytes, type: number, values: ReadonlyArray<A>, write: (value: A) => void): void => {
  out.u32(types.array)
  out.u32(type)
  out.u64(values.length)
  for (const value of values) write(value)
}

const writeValue = (out: Bytes, value: Value): void => {
  switch (value.type) {
    case "strings":
      return writeArray(out, types.string, value.value, (item) => out.string(item))
    case "i32s":
      return writeArray(out, types.i32, value.value, (item) => out.i32(item))
    case "f32s":
      return writeArray(out, types.f32, value.value, (item) => out.f32(item))
    case "bool":
      out.u32(types.bool)
      return out.bool(value.value)
    case "string":
      out.u32(types.string)
      return out.string(value.value)
    default:
      out.u32(types[value.type])
      return value.type === "u32" ? out.u32(value.value) : out.f32(value.value)
  }
}

/** The bytes up to the first tensor. Tensors follow in this order, each padded to the alignment. @internal */
export const encode = (metadata: Metadata, tensors: ReadonlyArray<Tensor>): Uint8Array => {
  const out = new Bytes()
  out.u32(0x46554747)
  out.u32(3)
  out.u64(tensors.length)
  out.u64(metadata.length)
  for (const [key, value] of metadata) {
    out.string(key)
    writeValue(out, value)
  }
  let offset = 0
  for (const { bytes, name, shape, type } of tensors) {
    out.string(name)
    out.u32(shape.length)
    for (const size of shape.toReversed()) out.u64(size)
    out.u32(type)
    out.u64(offset)
    offset += bytes + padding(bytes)
  }
  out.zeros(padding(out.size))
  return out.done()
}
