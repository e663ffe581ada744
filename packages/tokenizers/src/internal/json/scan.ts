/**
 * A look at the text of JSON before it is parsed: how deep it nests, and whether `JSON.parse` reads it as it was written.
 * It jumps from quote to quote, so it is much faster than a parser.
 */
import { isIndex } from "./keys.ts"
import { readNumber } from "./numbers.ts"

/** @internal */
export interface Scan {
  readonly depth: number
  /** whether `JSON.parse` loses nothing: no number that it changes, no key that it moves */
  readonly isPlain: boolean
}

/** The index of the quote that ends the string which begins before `start`, or the length of the text. @internal */
export const endOfString = (text: string, start: number): number => {
  for (let at = start; ; at++) {
    at = text.indexOf('"', at)
    if (at === -1) return text.length
    let before = at - 1
    while (before >= start && text.charCodeAt(before) === 0x5c) before--
    if ((at - before) % 2 === 1) return at
  }
}

const isPlainNumber = (text: string): boolean => {
  try {
    return typeof readNumber(text) === "number" && !/^-0+$/.test(text)
  } catch {
    return false
  }
}

const skipSpace = (text: string, at: number): number => {
  while (/[ \t\r\n]/.test(text.charAt(at))) at++
  return at
}

/** Whether a string, given as written, is a key that JavaScript may move. */
const isMovable = (text: string, start: number, end: number): boolean => {
  if (end - start > 60) return false
  const written = text.slice(start, end)
  if (!isIndex(written) && !written.includes("\\u")) return false
  return text.charCodeAt(skipSpace(text, end + 1)) === 0x3a
}

/** @internal */
export const scan = (text: string): Scan => {
  let depth = 0
  let deepest = 0
  let isPlain = true
  for (let at = 0; at < text.length;) {
    const quote = text.indexOf('"', at)
    const between = text.slice(at, quote === -1 ? text.length : quote)
    for (const [piece] of between.matchAll(/[[{]+|[\]}]+|-?\d[\d.eE+-]*/g)) {
      const first = piece.charCodeAt(0)
      if (first === 0x5b || first === 0x7b) deepest = Math.max(deepest, (depth += piece.length))
      else if (first === 0x5d || first === 0x7d) depth -= piece.length
      else isPlain &&= isPlainNumber(piece)
    }
    if (quote === -1) break
    const end = endOfString(text, quote + 1)
    if (isPlain && isMovable(text, quote + 1, end)) isPlain = false
    at = end + 1
  }
  return { depth: deepest, isPlain }
}
