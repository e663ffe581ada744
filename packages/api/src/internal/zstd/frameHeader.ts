/** The header of a zstd frame: a magic number, a descriptor, and the size of the content. */

/** The size of the content, or why it is unknown. @internal */
export const contentSize = (bytes: Uint8Array): number | string => {
  if (bytes.length < 6) return "they are too few"
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== 0xfd2fb528) return "they do not start as a frame"
  const descriptor = bytes[4]!
  const single = (descriptor & 0x20) !== 0
  const dictionary = [0, 1, 2, 4][descriptor & 3]!
  const width = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!
  const at = 5 + (single ? 0 : 1) + dictionary
  if (width === 0) return "the frame does not say how large its content is"
  if (bytes.length < at + width) return "they end inside the header"
  switch (width) {
    case 1:
      return bytes[at]!
    case 2:
      return view.getUint16(at, true) + 256
    case 4:
      return view.getUint32(at, true)
    default:
      return view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true)
  }
}
