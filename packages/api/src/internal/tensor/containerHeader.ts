/**
 * The header of a serialized tensor, as audio chunks contain one: an optional marker byte 254, a byte for the element type
 * (0 to 7), the rank, and the dimensions. Rank and dimensions are base-128 numbers with the low digits first.
 */

/** The shape, or what is wrong with the header. @internal */
export const shapeOf = (bytes: Uint8Array): ReadonlyArray<number> | string => {
  let offset = bytes[0] === 254 ? 1 : 0
  if (bytes.length === 0) return "is empty"
  const dtype = bytes[offset++]
  if (dtype === undefined) return "ends inside its header"
  if (dtype > 7) return `has an unknown element type ${dtype}`
  const number = (): number | string => {
    let value = 0
    for (let power = 1, read = 0; ; power *= 128) {
      const byte = bytes[offset++]
      if (byte === undefined) return "ends inside its header"
      value += (byte & 0x7f) * power
      if ((byte & 0x80) === 0) return Number.isSafeInteger(value) ? value : "has a dimension that is too large"
      if (++read > 9) return "has a number of more than ten bytes in its header"
    }
  }
  const rank = number()
  if (typeof rank === "string") return rank
  // A dimension takes at least one byte, so the rank cannot exceed the number of bytes left.
  if (rank > bytes.length - offset) return "ends inside its header"
  const shape: Array<number> = []
  for (let i = 0; i < rank; i++) {
    const dimension = number()
    if (typeof dimension === "string") return dimension
    shape.push(dimension)
  }
  return shape
}
