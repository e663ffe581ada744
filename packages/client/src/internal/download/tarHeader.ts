/** Reads the headers of tar archives (ustar, pax, GNU), and rejects names that lead out of the target directory. */

/** The archive is rejected: it is unsafe, damaged or too large. @internal */
export class ArchiveRejected {
  readonly _tag = "ArchiveRejected"
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

/** @internal */
export const reject = (reason: string): never => {
  throw new ArchiveRejected(reason)
}

/** Size of a header, and the unit that contents are padded to. @internal */
export const blockSize = 512

const utf8 = new TextDecoder("utf-8", { fatal: true })

const decodeName = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    return reject("a name in it is not UTF-8")
  }
}

/** Text up to the first zero byte. @internal */
export const readText = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0)
  return decodeName(end < 0 ? bytes : bytes.subarray(0, end))
}

const readNumber = (field: Uint8Array): number => {
  // numbers too large for octal digits: base 256, as GNU tar writes them
  if ((field[0]! & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, field[0]! & 0x7f)
    return Number.isSafeInteger(value) ? value : reject("a size in it is too large")
  }
  const digits = readText(field).trim()
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || "0", 8) : reject("a number in it cannot be read")
}

/** The sum of the header's bytes, with the checksum field itself taken as spaces. */
const checksumOf = (header: Uint8Array): number =>
  header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0)

/** An archive ends with blocks of zeros. @internal */
export const isEnd = (header: Uint8Array): boolean => header.every((byte) => byte === 0)

/** @internal */
export const checkChecksum = (header: Uint8Array): void => {
  if (readNumber(header.subarray(148, 156)) !== checksumOf(header)) reject("it is no archive, or it is damaged")
}

/** @internal */
export const typeOf = (header: Uint8Array): string => String.fromCharCode(header[156]!)

/** @internal */
export const sizeOf = (header: Uint8Array): number => readNumber(header.subarray(124, 136))

/** @internal */
export const nameOf = (header: Uint8Array): string => {
  const prefix = readText(header.subarray(257, 262)) === "ustar" ? readText(header.subarray(345, 500)) : ""
  const name = readText(header.subarray(0, 100))
  return prefix === "" ? name : `${prefix}/${name}`
}

/** The form of a name in errors. @internal */
export const show = (name: string): string => JSON.stringify(name.slice(0, 200))

/** The segments of a file name below the target directory. @internal */
export const segmentsOf = (name: string): ReadonlyArray<string> => {
  const leadsOut = () => reject(`the name ${show(name)} in it leads out of the target`)
  // on Windows, `:` leads to other drives and streams
  if (/[\0\\]/.test(name) || name.startsWith("/") || /^[A-Za-z]:/.test(name)) return leadsOut()
  const segments = name.split("/").filter((segment) => segment !== "" && segment !== ".")
  return segments.includes("..") ? leadsOut() : segments
}

/** Fields of an extended header, which replace those of the entry behind it. @internal */
export interface Overrides {
  readonly path?: string
  readonly size?: number
}

/** Reads the records of a pax header, each `<length> <key>=<value>\n`. @internal */
export const readPaxRecords = (bytes: Uint8Array): Overrides => {
  const unreadable = () => reject("an extended header in it cannot be read")
  const overrides: { path?: string; size?: number } = {}
  let offset = 0
  while (offset < bytes.length) {
    const space = bytes.indexOf(0x20, offset)
    const length = space < 0 ? Number.NaN : Number(decodeName(bytes.subarray(offset, space)))
    if (!Number.isSafeInteger(length) || length <= space - offset || offset + length > bytes.length) {
      return unreadable()
    }
    const record = decodeName(bytes.subarray(space + 1, offset + length - 1))
    const [key] = record.split("=", 1)
    const value = record.slice(key!.length + 1)
    if (key === "linkpath") return reject("it contains a link")
    if (key === "path") overrides.path = value
    if (key === "size") overrides.size = /^\d+$/.test(value) ? Number(value) : unreadable()
    offset += length
  }
  return overrides
}
