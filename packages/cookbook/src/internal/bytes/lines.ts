/** The lines of a file: one scan finds them, and then each is read from its place. */
import * as Effect from "effect/Effect"
import { DatasetError, printable } from "./datasetError.ts"
import type { FileBytes } from "./fileBytes.ts"
import * as growable from "./growable.ts"
import * as utf8 from "./utf8.ts"

/** How much is read at a time: little enough that what is done with its lines blocks nobody. */
const chunkSize = 64 * 1024

/** How much is read ahead if lines are read in their order. */
const readAhead = 64 * 1024

const newline = 0x0a

/** @internal */
export interface Limits {
  readonly maxLineBytes: number
  readonly maxLines: number
}

/** Is called with each line in its order. What it returns ends the scan. @internal */
export type Visit = (text: string, line: number) => DatasetError | "skip" | undefined

/** The places of the lines that were kept. @internal */
export interface Index {
  /** where lines start, in bytes */
  readonly offsets: growable.Growable
  /** the numbers of lines, counted from 1 */
  readonly numbers: growable.Growable
}

interface Scan {
  readonly path: string
  readonly limits: Limits
  readonly visit: Visit
  readonly index: Index
  /** the parts of a line whose end was not read yet */
  parts: Array<Uint8Array>
  partsLength: number
  /** where that line starts */
  offset: number
  line: number
}

const concat = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const joined = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

const withoutReturn = (bytes: Uint8Array): Uint8Array =>
  bytes[bytes.length - 1] === 0x0d ? bytes.subarray(0, bytes.length - 1) : bytes

const isBlank = (text: string): boolean => text.trim() === ""

const tooLong = ({ limits: { maxLineBytes }, line, path }: Scan): DatasetError =>
  new DatasetError({
    path,
    line,
    reason:
      `the line is longer than ${maxLineBytes} bytes: write one record on each line, ` +
      "or raise maxLineBytes if that is right"
  })

/** Ends a line, whose text is passed to `visit` unless it is blank. */
const endLine = (scan: Scan, bytes: Uint8Array): DatasetError | undefined => {
  const decoded = utf8.decode(withoutReturn(bytes))
  const { line, path } = scan
  if ("problem" in decoded) return new DatasetError({ path, line, reason: decoded.problem })
  if (isBlank(decoded.text)) return undefined
  const result = scan.visit(decoded.text, line)
  if (result === "skip") return undefined
  if (result !== undefined) return result
  scan.index.offsets.push(scan.offset)
  scan.index.numbers.push(line)
  return scan.index.offsets.length > scan.limits.maxLines
    ? new DatasetError({ path, line, reason: `has more than ${scan.limits.maxLines} records` })
    : undefined
}

/** Adds a part of the file: ends the lines that end in it, and keeps the rest. */
const addPart = (scan: Scan, bytes: Uint8Array): DatasetError | undefined => {
  let start = 0
  for (;;) {
    const end = bytes.indexOf(newline, start)
    const part = bytes.subarray(start, end < 0 ? bytes.length : end)
    const length = scan.partsLength + part.length
    if (length > scan.limits.maxLineBytes) return tooLong(scan)
    scan.parts.push(part)
    scan.partsLength = length
    if (end < 0) return undefined
    const problem = endLine(scan, concat(scan.parts, length))
    if (problem !== undefined) return problem
    scan.parts = []
    scan.partsLength = 0
    scan.offset += length + 1
    scan.line++
    start = end + 1
  }
}

/** A byte order mark is not part of the first line. */
const startOf = (file: FileBytes): Effect.Effect<number, DatasetError> =>
  Effect.map(file.read(0, Math.min(3, file.size)), ([a, b, c]) => (a === 0xef && b === 0xbb && c === 0xbf ? 3 : 0))

/** Reads the file once, part by part. @internal */
export const scan = Effect.fnUntraced(function* (file: FileBytes, limits: Limits, visit: Visit) {
  const start = yield* startOf(file)
  const index: Index = { offsets: growable.float64(), numbers: growable.uint32() }
  const state: Scan = { path: file.path, limits, visit, index, parts: [], partsLength: 0, offset: start, line: 1 }
  for (let at = start; at < file.size; at += chunkSize) {
    const problem = addPart(state, yield* file.read(at, Math.min(chunkSize, file.size - at)))
    if (problem !== undefined) return yield* problem
  }
  const problem = state.partsLength > 0 ? endLine(state, concat(state.parts, state.partsLength)) : undefined
  return problem === undefined ? index : yield* problem
})

/** The bytes of a line that starts at an offset, within the bytes that start at another. */
const lineWithin = (bytes: Uint8Array, from: number): Uint8Array | undefined => {
  const end = bytes.indexOf(newline, from)
  return end < 0 ? undefined : bytes.subarray(from, end)
}

/** Reads single lines again. @internal */
export const makeReader = (file: FileBytes, index: Index, limits: Limits) => {
  let block: { readonly start: number; readonly bytes: Uint8Array } = { start: 0, bytes: new Uint8Array(0) }
  let last = -1
  const longest = (position: number): number => {
    const start = index.offsets.get(position)
    const next = position + 1 < index.offsets.length ? index.offsets.get(position + 1) : file.size
    return Math.min(next - start, limits.maxLineBytes + 2)
  }
  return Effect.fnUntraced(function* (position: number) {
    const start = index.offsets.get(position)
    const [isNext, line] = [position === last + 1, index.numbers.get(position)]
    last = position
    const isHeld = start >= block.start && start < block.start + block.bytes.length
    const held = isHeld ? lineWithin(block.bytes, start - block.start) : undefined
    if (held !== undefined) return { bytes: withoutReturn(held), line }
    const length = Math.min(file.size - start, Math.max(longest(position), isNext ? readAhead : 0))
    const bytes = yield* file.read(start, length)
    if (isNext) block = { start, bytes }
    return { bytes: withoutReturn(lineWithin(bytes, 0) ?? bytes.subarray(0, longest(position))), line }
  })
}

/** The text of a line that was read again. It was text when the file was scanned. @internal */
export const textOf = (
  path: string,
  { bytes, line }: { readonly bytes: Uint8Array; readonly line: number }
): Effect.Effect<string, DatasetError> => {
  const decoded = utf8.decode(bytes)
  return "text" in decoded
    ? Effect.succeed(decoded.text)
    : new DatasetError({ path, line, reason: `has changed since it was opened: ${printable(decoded.problem)}` })
}
