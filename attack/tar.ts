/** Builds tar archives, as a hostile service could send them. */

export interface Entry {
  readonly name: string
  readonly content?: string
  /** `0` for a file, which is the default */
  readonly type?: string
  readonly link?: string
  /** instead of the size of the content */
  readonly size?: number
}

const one = ({ content = "", link = "", name, size, type = "0" }: Entry): Buffer => {
  const body = Buffer.from(content)
  const header = Buffer.alloc(512)
  header.write(name, 0, 100)
  header.write("0000644\0", 100)
  header.write((size ?? body.length).toString(8).padStart(11, "0"), 124)
  header.write(type, 156)
  header.write(link, 157, 100)
  header.write("ustar\u000000", 257)
  header.fill(0x20, 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)])
}

export const tar = (...entries: ReadonlyArray<Entry>): Buffer =>
  Buffer.concat([...entries.map(one), Buffer.alloc(1024)])

/** A record of an extended header. */
export const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length++
  return `${length}${rest}`
}

/** What ends an archive of a checkpoint. */
export const complete: Entry = { name: "checkpoint_complete" }
