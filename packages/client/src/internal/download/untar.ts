/** What an archive holds, in the order of its bytes. @internal */
export type Event =
  | { readonly _tag: "Directory"; readonly path: ReadonlyArray<string> }
  /** its `size` bytes follow, as `Data`, and then `End` */
  | { readonly _tag: "File"; readonly path: ReadonlyArray<string>; readonly size: number }
  | { readonly _tag: "Data"; readonly bytes: Uint8Array }
  | { readonly _tag: "End" }

/** The archive is not taken. @internal */
export class Refused {
  readonly _tag = "Refused"
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

/** @internal */
export interface Limits {
  /** of all files together, in bytes */
  readonly size: number
  readonly entries: number
}

const block = 512
// a name or a list of attributes
const maxExtra = 64 * 1024

const refuse = (reason: string): never => {
  throw new Refused(reason)
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const decode = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    return refuse("a name in it is not UTF-8")
  }
}

/** Text up to its first zero. */
const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0)
  return decode(end < 0 ? bytes : bytes.subarray(0, end))
}

const number = (field: Uint8Array): number => {
  // sizes that do not fit in octal digits: base 256, as GNU tar writes them
  if ((field[0]! & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, field[0]! & 0x7f)
    return Number.isSafeInteger(value) ? value : refuse("a size in it is too large")
  }
  const digits = text(field).trim()
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || "0", 8) : refuse("a number in it cannot be read")
}

const sumOf = (header: Uint8Array): number =>
  header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0)

/** The parts of a name below the target, however it is written. @internal */
export const partsOf = (name: string): ReadonlyArray<string> => {
  const shown = JSON.stringify(name.slice(0, 200))
  // `:` leads to other drives and streams on Windows
  if (/[\0\\]/.test(name) || name.startsWith("/") || /^[A-Za-z]:/.test(name)) {
    return refuse(`the name ${shown} in it leads out of the target`)
  }
  const parts = name.split("/").filter((part) => part !== "" && part !== ".")
  return parts.includes("..") ? refuse(`the name ${shown} in it leads out of the target`) : parts
}

/** Records of an extended header, `<length> <key>=<value>\n` each. */
const attributes = (bytes: Uint8Array): { readonly path?: string; readonly size?: number } => {
  const out: { path?: string; size?: number } = {}
  let offset = 0
  while (offset < bytes.length) {
    const space = bytes.indexOf(0x20, offset)
    const length = space < 0 ? Number.NaN : Number(decode(bytes.subarray(offset, space)))
    if (!Number.isSafeInteger(length) || length <= space - offset || offset + length > bytes.length) {
      return refuse("an extended header in it cannot be read")
    }
    const record = decode(bytes.subarray(space + 1, offset + length - 1))
    const [key] = record.split("=", 1)
    const value = record.slice(key!.length + 1)
    if (key === "path") out.path = value
    if (key === "linkpath") return refuse("it holds a link")
    if (key === "size") {
      out.size = /^\d+$/.test(value) ? Number(value) : refuse("an extended header in it cannot be read")
    }
    offset += length
  }
  return out
}

/**
 * Reads an archive (ustar, pax, GNU) as its bytes come. Files and directories alone are taken: links, devices and names
 * that lead out of the target are refused, as is what is larger than the limits or cut off. The functions throw
 * `Refused`.
 *
 * @internal
 */
export const make = (limits: Limits) => {
  const header = new Uint8Array(block)
  let filled = 0
  let ended = false
  let remaining = 0
  let padding = 0
  let total = 0
  let entries = 0
  // what the bytes of an entry are for
  let reading: "file" | "skip" | "pax" | "name" | undefined
  let extra = new Uint8Array(0)
  let next: { path?: string; size?: number } = {}

  const start = (out: Array<Event>) => {
    if (header.every((byte) => byte === 0)) {
      ended = true
      return
    }
    if (number(header.subarray(148, 156)) !== sumOf(header)) refuse("it is no archive, or it is damaged")
    if (++entries > limits.entries) refuse(`it holds more than ${limits.entries} entries`)
    const type = String.fromCharCode(header[156]!)
    const meta = type === "x" || type === "L"
    const size = (meta ? undefined : next.size) ?? number(header.subarray(124, 136))
    remaining = size
    padding = (block - (size % block)) % block
    if (meta) {
      if (size > maxExtra) refuse("a name in it is too long")
      reading = type === "x" ? "pax" : "name"
      extra = new Uint8Array(size)
      return
    }
    // attributes for all that follows: none that matters here
    if (type === "g") {
      reading = "skip"
      return
    }
    const prefix = text(header.subarray(257, 262)) === "ustar" ? text(header.subarray(345, 500)) : ""
    const short = text(header.subarray(0, 100))
    const name = next.path ?? (prefix === "" ? short : `${prefix}/${short}`)
    next = {}
    const parts = partsOf(name)
    if (type === "5" || ((type === "0" || type === "\0") && name.endsWith("/"))) {
      if (size !== 0) refuse("it holds a directory with content")
      if (parts.length > 0) out.push({ _tag: "Directory", path: parts })
      return
    }
    if (type === "1" || type === "2" || type === "K") refuse(`it holds a link, ${JSON.stringify(name.slice(0, 200))}`)
    if (type !== "0" && type !== "\0" && type !== "7") {
      refuse(`it holds ${JSON.stringify(name.slice(0, 200))}, which is neither a file nor a directory`)
    }
    if (parts.length === 0) refuse("it holds a file without a name")
    total += size
    if (total > limits.size) refuse(`its files are larger than ${limits.size} bytes`)
    out.push({ _tag: "File", path: parts, size })
    if (size === 0) {
      out.push({ _tag: "End" })
      return
    }
    reading = "file"
  }

  const finish = (out: Array<Event>) => {
    if (reading === "file") out.push({ _tag: "End" })
    if (reading === "pax") next = { ...next, ...attributes(extra) }
    if (reading === "name") next = { ...next, path: text(extra) }
    reading = undefined
  }

  return {
    push: (chunk: Uint8Array): ReadonlyArray<Event> => {
      const out: Array<Event> = []
      let offset = 0
      // behind the end there is filling alone
      while (offset < chunk.length && !ended) {
        const left = chunk.length - offset
        if (remaining > 0) {
          const size = Math.min(remaining, left)
          const bytes = chunk.subarray(offset, offset + size)
          if (reading === "file") out.push({ _tag: "Data", bytes })
          else if (reading !== "skip") extra.set(bytes, extra.length - remaining)
          remaining -= size
          offset += size
          if (remaining === 0) finish(out)
        } else if (padding > 0) {
          const size = Math.min(padding, left)
          padding -= size
          offset += size
        } else {
          const size = Math.min(block - filled, left)
          header.set(chunk.subarray(offset, offset + size), filled)
          filled += size
          offset += size
          if (filled === block) {
            filled = 0
            start(out)
            if (remaining === 0 && reading !== undefined) finish(out)
          }
        }
      }
      return out
    },
    /** says that no bytes follow */
    end: (): void => {
      if (remaining > 0 || filled > 0 || reading !== undefined) refuse("it is cut off")
      if (entries === 0) refuse("it is empty")
    }
  }
}
