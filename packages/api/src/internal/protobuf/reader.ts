/** Reads the fields of protobuf messages. Throws a `Malformed`, which `ProtobufCodec` catches. */

/** Why bytes cannot be read. @internal */
export class Malformed {
  readonly reason: "Truncated" | "Malformed" | "Value"
  readonly message: string
  constructor(reason: "Truncated" | "Malformed" | "Value", message: string) {
    this.reason = reason
    this.message = message
  }
}

/** Throws: the bytes are not protobuf. */
const malformed = (message: string): never => {
  throw new Malformed("Malformed", message)
}

/** Throws: a field has a value that the message does not allow. @internal */
export const invalid = (message: string): never => {
  throw new Malformed("Value", message)
}

const truncated = (): never => {
  throw new Malformed("Truncated", "the message ends inside a field")
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

// Wire types.
/** @internal */
export const VARINT = 0
/** @internal */
export const I64 = 1
/** @internal */
export const LEN = 2
const SGROUP = 3
const EGROUP = 4
const I32 = 5

/** A cursor over the fields of a message. @internal */
export class Reader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  position: number
  end: number
  /** the number and the wire type of the field that `next` found */
  field = 0
  wire = 0
  /** the two halves of the last varint */
  private low = 0
  private high = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = 0
    this.end = bytes.length
  }

  /** Reads the next tag; false at the end of the message. */
  next(): boolean {
    if (this.position >= this.end) return false
    this.varint()
    if (this.high !== 0) malformed("a tag is too large")
    this.field = this.low >>> 3
    this.wire = this.low & 7
    if (this.field === 0) malformed("a field has the number 0")
    return true
  }

  private varint(): void {
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= this.end) truncated()
      const byte = this.bytes[this.position++]!
      const part = byte & 0x7f
      if (shift < 28) low |= part << shift
      else if (shift === 28) {
        low |= part << 28
        high |= part >>> 4
      } else if (shift < 63) high |= part << (shift - 32)
      else high |= (part & 1) << 31
      if (byte < 0x80) {
        this.low = low
        this.high = high
        return
      }
    }
    malformed("a number has more than ten bytes")
  }

  uint32(): number {
    this.varint()
    return this.low >>> 0
  }

  int32(): number {
    this.varint()
    return this.low | 0
  }

  bool(): boolean {
    this.varint()
    return (this.low | this.high) !== 0
  }

  /** An int64 that is a size or a position. */
  size(what: string): number {
    this.varint()
    const value = (this.high >>> 0) * 0x100000000 + (this.low >>> 0)
    return this.high >>> 21 !== 0 ? invalid(`${what} is not in [0, 2^53)`) : value
  }

  double(): number {
    if (this.end - this.position < 8) truncated()
    const value = this.view.getFloat64(this.position, true)
    this.position += 8
    return value
  }

  private length(): number {
    this.varint()
    const length = this.low >>> 0
    if (this.high !== 0 || length > this.end - this.position) truncated()
    return length
  }

  /** The bytes of a length-delimited field, as a view of the buffer. */
  content(): Uint8Array {
    const length = this.length()
    const start = this.position
    this.position += length
    return this.bytes.subarray(start, this.position)
  }

  /** A string; `what` names it in an error. */
  text(what: string): string {
    const length = this.length()
    const start = this.position
    this.position += length
    // Decoding short ASCII by hand is faster than calling the decoder.
    if (length <= 24) {
      let text = ""
      let i = start
      for (; i < this.position && this.bytes[i]! < 0x80; i++) text += String.fromCharCode(this.bytes[i]!)
      if (i === this.position) return text
    }
    try {
      return decoder.decode(this.bytes.subarray(start, this.position))
    } catch {
      return malformed(`${what} is not UTF-8`)
    }
  }

  /** Reads an embedded message: calls `read` once per field, which must skip the fields that it does not know. */
  message(read: () => void): void {
    const length = this.length()
    const outer = this.end
    this.end = this.position + length
    while (this.next()) read()
    this.end = outer
  }

  /** Reads repeated int64 sizes, packed or not. */
  sizes(into: Array<number>, what: string): void {
    if (this.wire === VARINT) {
      into.push(this.size(what))
      return
    }
    const length = this.length()
    const outer = this.end
    this.end = this.position + length
    while (this.position < this.end) into.push(this.size(what))
    this.end = outer
  }

  /** Skips the current field. */
  skip(depth = 0): void {
    switch (this.wire) {
      case VARINT:
        return this.varint()
      case I64:
        return this.advance(8)
      case LEN:
        return this.advance(this.length())
      case I32:
        return this.advance(4)
      case SGROUP: {
        if (depth > 100) malformed("groups are nested too deeply")
        const field = this.field
        for (;;) {
          if (!this.next()) truncated()
          if ((this.wire as number) === EGROUP)
            return this.field === field ? undefined : malformed("a group ends as another one")
          this.skip(depth + 1)
        }
      }
      default:
        malformed(`a field has the wire type ${this.wire}`)
    }
  }

  private advance(length: number): void {
    if (length > this.end - this.position) truncated()
    this.position += length
  }
}
