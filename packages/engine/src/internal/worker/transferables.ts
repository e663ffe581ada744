/** Finds the array buffers of a message that can be transferred rather than copied. */

/**
 * The buffers of all typed arrays in a value. A buffer is left out if an array views only a part of it, since the rest
 * may be in use elsewhere.
 *
 * @internal
 */
export const buffersOf = (value: unknown): Array<ArrayBuffer> => {
  const found = new Set<ArrayBuffer>()
  collect(value, found)
  return [...found]
}

const collect = (value: unknown, found: Set<ArrayBuffer>): void => {
  if (typeof value !== "object" || value === null) return
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength) found.add(value.buffer)
    return
  }
  for (const inner of Object.values(value)) collect(inner, found)
}
