/** A writer of protobuf messages: as little of it as ONNX needs. */

const encoder = new TextEncoder()

/** @internal */
export class Message {
  private bytes = new Uint8Array(64)
  private length = 0

  private reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + size))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }

  private varint(value: number): void {
    // ten bytes hold any number, negative ones being of 64 bits
    this.reserve(10)
    let rest = BigInt.asUintN(64, BigInt(value))
    while (rest > 127n) {
      this.bytes[this.length++] = Number(rest & 127n) | 128
      rest >>= 7n
    }
    this.bytes[this.length++] = Number(rest)
  }

  private tag(field: number, type: 0 | 2 | 5): void {
    this.varint(field * 8 + type)
  }

  int(field: number, value: number): this {
    this.tag(field, 0)
    this.varint(value)
    return this
  }

  ints(field: number, values: ReadonlyArray<number>): this {
    for (const value of values) this.int(field, value)
    return this
  }

  float(field: number, value: number): this {
    this.tag(field, 5)
    this.reserve(4)
    new DataView(this.bytes.buffer).setFloat32(this.length, value, true)
    this.length += 4
    return this
  }

  data(field: number, value: Uint8Array): this {
    this.tag(field, 2)
    this.varint(value.length)
    this.reserve(value.length)
    this.bytes.set(value, this.length)
    this.length += value.length
    return this
  }

  string(field: number, value: string): this {
    return this.data(field, encoder.encode(value))
  }

  message(field: number, value: Message): this {
    return this.data(field, value.finish())
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }
}
