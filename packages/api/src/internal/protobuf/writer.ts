/** Writes protobuf messages in two steps: their sizes are computed first, then they are written into one buffer. */

const encoder = new TextEncoder()

/** The size of a varint of a non-negative safe integer. @internal */
export const varintSize = (value: number): number => {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x200000) return 3
  if (value < 0x10000000) return 4
  let size = 5
  for (let rest = value / 0x800000000; rest >= 1; rest /= 128) size++
  return size
}

/** The size of a length-delimited field: tag (of a field number below 16), length, content. @internal */
export const bytesSize = (length: number): number => 1 + varintSize(length) + length

/** `bytesSize`, or 0 for a field that is omitted when it is empty. @internal */
export const implicitSize = (length: number): number => (length === 0 ? 0 : bytesSize(length))

/** The size of a varint field that is omitted when it is 0. @internal */
export const implicitVarintSize = (value: number): number => (value === 0 ? 0 : 1 + varintSize(value))

/** The size of a packed field of varints that is omitted when it is empty. @internal */
export const packedSize = (values: ReadonlyArray<number>): number => {
  let size = 0
  for (const value of values) size += varintSize(value)
  return implicitSize(size)
}

/** A cache of strings as UTF-8. @internal */
export class Texts {
  private readonly cache = new Map<string, Uint8Array>()
  utf8(text: string): Uint8Array {
    let bytes = this.cache.get(text)
    if (bytes === undefined) {
      bytes = encoder.encode(text)
      this.cache.set(text, bytes)
    }
    return bytes
  }
}

/** A cursor over a buffer of the exact size. `implicit` methods omit empty values; `explicit` ones write them. @internal */
export class Writer {
  readonly bytes: Uint8Array
  readonly view: DataView
  position = 0

  constructor(size: number, into?: Uint8Array) {
    this.bytes = into !== undefined && into.length >= size ? into.subarray(0, size) : new Uint8Array(size)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size)
  }

  varint(value: number): void {
    let rest = value
    while (rest >= 0x80000000) {
      this.bytes[this.position++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest >= 0x80) {
      this.bytes[this.position++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.bytes[this.position++] = rest
  }

  /** Writes the tag and the length of a field whose content follows. */
  open(field: number, length: number): void {
    this.bytes[this.position++] = (field << 3) | 2
    this.varint(length)
  }

  content(field: number, content: Uint8Array): void {
    this.open(field, content.length)
    this.bytes.set(content, this.position)
    this.position += content.length
  }

  implicitContent(field: number, content: Uint8Array): void {
    if (content.length > 0) this.content(field, content)
  }

  explicitVarint(field: number, value: number): void {
    this.bytes[this.position++] = field << 3
    this.varint(value)
  }

  implicitVarint(field: number, value: number): void {
    if (value !== 0) this.explicitVarint(field, value)
  }

  double(field: number, value: number): void {
    this.bytes[this.position++] = (field << 3) | 1
    this.view.setFloat64(this.position, value, true)
    this.position += 8
  }

  packed(field: number, values: ReadonlyArray<number>): void {
    if (values.length === 0) return
    let size = 0
    for (const value of values) size += varintSize(value)
    this.open(field, size)
    for (const value of values) this.varint(value)
  }
}
