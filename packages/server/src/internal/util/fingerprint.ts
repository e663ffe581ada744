const scratch = new DataView(new ArrayBuffer(8))

/**
 * A hash of a decoded request, by which a repetition is told from another request under the same number. Keys count in
 * any order, absent and `undefined` fields alike; typed arrays count by their bytes.
 *
 * @internal
 */
export const of = (value: unknown): string => {
  let a = 0x9e3779b9
  let b = 0x85ebca6b
  const word = (n: number) => {
    a = Math.imul(a ^ n, 0xcc9e2d51)
    a = (a << 13) | (a >>> 19)
    b = Math.imul(b ^ n, 0x1b873593) + a
    b = (b << 17) | (b >>> 15)
  }
  const number = (n: number) => {
    scratch.setFloat64(0, n)
    word(scratch.getInt32(0))
    word(scratch.getInt32(4))
  }
  const text = (s: string) => {
    word(s.length)
    for (let i = 0; i < s.length; i++) word(s.charCodeAt(i))
  }
  const bytes = (view: ArrayBufferView) => {
    word(view.byteLength)
    const whole = view.byteLength >> 2
    if (view.byteOffset % 4 === 0) {
      const words = new Int32Array(view.buffer, view.byteOffset, whole)
      for (let i = 0; i < whole; i++) word(words[i]!)
    } else {
      const data = new DataView(view.buffer, view.byteOffset)
      for (let i = 0; i < whole; i++) word(data.getInt32(i * 4, true))
    }
    const rest = new Uint8Array(view.buffer, view.byteOffset + whole * 4, view.byteLength - whole * 4)
    for (const byte of rest) word(byte)
  }
  const walk = (u: unknown): void => {
    switch (typeof u) {
      case "string":
        word(1)
        return text(u)
      case "number":
        word(2)
        return number(u)
      case "boolean":
        return word(u ? 3 : 4)
      case "object": {
        if (u === null) return word(5)
        if (ArrayBuffer.isView(u)) {
          word(6)
          return bytes(u)
        }
        if (Array.isArray(u)) {
          word(7)
          word(u.length)
          for (const item of u) walk(item)
          return
        }
        word(8)
        const fields = u as Record<string, unknown>
        for (const key of Object.keys(fields).sort()) {
          if (fields[key] === undefined) continue
          text(key)
          walk(fields[key])
        }
        return word(9)
      }
      default:
        return text(String(u))
    }
  }
  walk(value)
  return `${(a >>> 0).toString(16)}.${(b >>> 0).toString(16)}`
}
