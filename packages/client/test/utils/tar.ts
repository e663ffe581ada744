/** Builds tar archives, also invalid ones. */

/** An entry of an archive, as any writer could have written it. */
export interface Entry {
  readonly name: string
  readonly content?: Uint8Array | string
  readonly type?: string
  readonly prefix?: string
  /** overrides the size in the header */
  readonly size?: number | Uint8Array
  readonly checksum?: number
}

const utf8 = (text: string) => new TextEncoder().encode(text)
const bytesOf = (content: Uint8Array | string = "") => (typeof content === "string" ? utf8(content) : content)

const concat = (parts: ReadonlyArray<Uint8Array>) => {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

const one = ({ checksum, content, name, prefix = "", size, type = "0" }: Entry): Uint8Array => {
  const body = bytesOf(content)
  const header = new Uint8Array(512)
  header.set(utf8(name).subarray(0, 100), 0)
  header.set(utf8("0000644\0"), 100)
  if (size instanceof Uint8Array) header.set(size, 124)
  else header.set(utf8((size ?? body.length).toString(8).padStart(11, "0")), 124)
  header.set(utf8(type), 156)
  header.set(utf8("ustar\u000000"), 257)
  header.set(utf8(prefix), 345)
  header.fill(0x20, 148, 156)
  const sum = checksum ?? header.reduce((total, byte) => total + byte, 0)
  header.set(utf8(`${sum.toString(8).padStart(6, "0")}\0 `), 148)
  return concat([header, body, new Uint8Array((512 - (body.length % 512)) % 512)])
}

export const tar = (...entries: ReadonlyArray<Entry>): Uint8Array => concat([...entries.map(one), new Uint8Array(1024)])

/** A record of an extended header. */
export const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`
  let length = utf8(rest).length + 1
  while (String(length).length + utf8(rest).length !== length) length++
  return `${length}${rest}`
}
