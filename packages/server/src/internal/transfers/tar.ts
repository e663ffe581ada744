/** Writes tar archives in memory, in the ustar format. */

const blockSize = 512

const padded = (size: number): number => Math.ceil(size / blockSize) * blockSize

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`

/** The header of a file with a short name. Sizes above 8 GiB do not fit. */
const header = (name: string, size: number, seconds: number): Uint8Array => {
  const out = new Uint8Array(blockSize)
  const put = (text: string, offset: number) => out.set(new TextEncoder().encode(text), offset)
  put(name, 0)
  // mode, uid, gid, size, mtime, type
  put(octal(0o644, 8), 100)
  put(octal(0, 8), 108)
  put(octal(0, 8), 116)
  put(octal(size, 12), 124)
  put(octal(seconds, 12), 136)
  put("0", 156)
  put("ustar\0" + "00", 257)
  // the checksum is computed with spaces in its own field
  put(" ".repeat(8), 148)
  const checksum = out.reduce((total, byte) => total + byte, 0)
  put(`${checksum.toString(8).padStart(6, "0")}\0 `, 148)
  return out
}

/** An archive of files with short names. `modified` is in milliseconds since the epoch. @internal */
export const encode = (
  files: ReadonlyArray<readonly [name: string, content: Uint8Array]>,
  modified: number
): Uint8Array => {
  // two empty blocks end the archive
  const size = files.reduce((total, [, content]) => total + blockSize + padded(content.length), 2 * blockSize)
  const out = new Uint8Array(size)
  let offset = 0
  for (const [name, content] of files) {
    out.set(header(name, content.length, Math.floor(modified / 1000)), offset)
    out.set(content, offset + blockSize)
    offset += blockSize + padded(content.length)
  }
  return out
}
