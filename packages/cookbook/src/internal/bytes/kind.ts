/** What the first bytes of a file say about it. */

/** @internal */
export type Kind = "text" | "gzip" | "zstd" | "parquet" | { readonly refused: string }

const startsWith = (bytes: Uint8Array, prefix: ReadonlyArray<number>): boolean =>
  bytes.length >= prefix.length && prefix.every((byte, i) => bytes[i] === byte)

const decompress = (name: string, command: string): Kind => ({
  refused: `is compressed with ${name}: decompress it first (${command}), or use gzip or zstd`
})

const utf16: Kind = { refused: "is UTF-16: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)" }

/** The skippable frames of zstd have sixteen magic numbers. */
const isZstd = (bytes: Uint8Array): boolean =>
  startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd]) ||
  (startsWith(bytes.subarray(1), [0x2a, 0x4d, 0x18]) && bytes[0]! >= 0x50 && bytes[0]! <= 0x5f)

/** The kind of a file by its first bytes; eight are enough. @internal */
export const kindOf = (bytes: Uint8Array): Kind => {
  if (startsWith(bytes, [0x1f, 0x8b])) return "gzip"
  if (isZstd(bytes)) return "zstd"
  if (startsWith(bytes, [0x50, 0x41, 0x52, 0x31])) return "parquet"
  if (startsWith(bytes, [0x50, 0x4b, 0x03, 0x04])) return { refused: "is a zip archive: unpack it first" }
  if (startsWith(bytes, [0x42, 0x5a, 0x68])) return decompress("bzip2", "bunzip2")
  if (startsWith(bytes, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])) return decompress("xz", "unxz")
  if (startsWith(bytes, [0xff, 0xfe]) || startsWith(bytes, [0xfe, 0xff])) return utf16
  return "text"
}
