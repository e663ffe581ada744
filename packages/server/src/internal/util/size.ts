/** Estimates how much memory a decoded request or a result takes. */

// an object or array with its header and a few fields
const objectBytes = 32
const numberBytes = 8

/** The size of a value in bytes, roughly: typed arrays and strings count in full. @internal */
export const of = (value: unknown): number => {
  switch (typeof value) {
    case "string":
      return objectBytes + 2 * value.length
    case "object":
      if (value === null) return numberBytes
      if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength
      return objectBytes + sum(Array.isArray(value) ? value : Object.values(value))
    default:
      return numberBytes
  }
}

const sum = (values: ReadonlyArray<unknown>): number => {
  let bytes = numberBytes * values.length
  for (const value of values) if (typeof value !== "number") bytes += of(value)
  return bytes
}
