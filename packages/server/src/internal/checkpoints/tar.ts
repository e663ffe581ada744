const block = 512

const padded = (size: number): number => Math.ceil(size / block) * block

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`

/** A header of the format ustar. Sizes above 8 GiB do not fit. */
const header = (name: string, size: number, seconds: number): Uint8Array => {
  const out = new Uint8Array(block)
  const put = (text: string, offset: number) => out.set(new TextEncoder().encode(text), offset)
  put(name, 0)
  put(octal(0o644, 8), 100)
  put(octal(0, 8), 108)
  put(octal(0, 8), 116)
  put(octal(size, 12), 124)
  put(octal(seconds, 12), 136)
  put("0", 156)
  put("ustar\0" + "00", 257)
  // the sum is taken with its own field as spaces
  put(" ".repeat(8), 148)
  const sum = out.reduce((total, byte) => total + byte, 0)
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148)
  return out
}

/** An archive of files with short names, last changed at `millis`. @internal */
export const encode = (
  files: ReadonlyArray<readonly [name: string, content: Uint8Array]>,
  millis: number
): Uint8Array => {
  const size = files.reduce((total, [, content]) => total + block + padded(content.length), 2 * block)
  const out = new Uint8Array(size)
  let offset = 0
  for (const [name, content] of files) {
    out.set(header(name, content.length, Math.floor(millis / 1000)), offset)
    out.set(content, offset + block)
    offset += block + padded(content.length)
  }
  return out
}
