/** Decodes lines, and says where one is no UTF-8. */

// a byte order mark inside of a file is content
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** The length of the sequence at an index; 0 if it is malformed. */
const sequenceLength = (bytes: Uint8Array, at: number): number => {
  const [first, second] = [bytes[at]!, bytes[at + 1]]
  if (first < 0x80) return 1
  const length =
    first >= 0xc2 && first <= 0xdf ? 2 : (first & 0xf0) === 0xe0 ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0
  for (let i = 1; i < length; i++) if (!isContinuation(bytes[at + i])) return 0
  const isOverlong = (first === 0xe0 && second! < 0xa0) || (first === 0xf0 && second! < 0x90)
  const isSurrogate = first === 0xed && second! > 0x9f
  const isTooLarge = first === 0xf4 && second! > 0x8f
  return isOverlong || isSurrogate || isTooLarge ? 0 : length
}

/** The index of the first byte that is no UTF-8; the length if there is none. */
const firstInvalid = (bytes: Uint8Array): number => {
  let at = 0
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at)
    if (length === 0) return at
    at += length
  }
  return at
}

/** The text of a line, or why it has none. @internal */
export const decode = (bytes: Uint8Array): { readonly text: string } | { readonly problem: string } => {
  if (bytes.includes(0)) {
    return {
      problem: "has a NUL byte: the file is no text, or it is UTF-16 (convert it to UTF-8: iconv -f UTF-16 -t UTF-8)"
    }
  }
  try {
    return { text: decoder.decode(bytes) }
  } catch {
    const at = firstInvalid(bytes)
    const byte = `0x${(bytes[at] ?? 0).toString(16).padStart(2, "0")}`
    const advice = "convert the file to UTF-8, for example with iconv -f WINDOWS-1252 -t UTF-8"
    return { problem: `the byte ${byte} at column ${at + 1} is not UTF-8: ${advice}` }
  }
}
