/** Decompresses zstd part by part: the frames are found here, and fzstd decompresses the blocks of each. */
import * as fzstd from "fzstd"
import { Xxh64 } from "./xxh64.ts"

/** The largest window, and so the memory of a decompression: 128 MiB, the limit of the `zstd` command as well. */
const maxWindow = 128 * 1024 * 1024

/** The largest block before and after decompression, in bytes. */
const maxBlock = 128 * 1024

const magic = 0xfd2fb528

/** What the next bytes of the input are. */
type Part = "magic" | "header" | "skippedSize" | "skipped" | "blockHeader" | "block" | "checksum"

interface Frame {
  readonly decompress: fzstd.Decompress
  readonly hash: Xxh64 | undefined
  /** as announced; undefined if it is not */
  readonly contentSize: number | undefined
  /** the bytes that have been decompressed */
  length: number
}

const uint32 = (bytes: Uint8Array, at = 0): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true)

/** The number of bytes of a header whose first five are these. */
const headerSize = (bytes: Uint8Array): number => {
  const descriptor = bytes[4]!
  const single = (descriptor & 0x20) !== 0
  return 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!
}

/** The size of the window that a frame asks for, in bytes. */
const windowSize = (header: Uint8Array, contentSize: number | undefined): number => {
  if ((header[4]! & 0x20) !== 0) return contentSize ?? 0
  const base = 2 ** (10 + (header[5]! >> 3))
  return base + (base / 8) * (header[5]! & 7)
}

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/**
 * Decompresses frames one after another. `push` and `end` throw an `Error` if the bytes are malformed, do not match their
 * checksum, or end too early.
 *
 * @internal
 */
export class Decompressor {
  private part: Part = "magic"
  /** the number of bytes that the current part has */
  private needed = 5
  private pending: Array<Uint8Array> = []
  private pendingSize = 0
  private frame: Frame | undefined
  private isLastBlock = false
  private output: Array<Uint8Array> = []
  private readonly contentSizeOf: (header: Uint8Array) => number | string

  constructor(contentSizeOf: (header: Uint8Array) => number | string) {
    this.contentSizeOf = contentSizeOf
  }

  /** The content that follows from these bytes: at most 128 KiB for every four of them. */
  push(bytes: Uint8Array): ReadonlyArray<Uint8Array> {
    this.output = []
    let rest = bytes
    while (rest.length > 0) {
      const taken = rest.subarray(0, this.needed - this.pendingSize)
      rest = rest.subarray(taken.length)
      // a copy, since the caller may reuse its array
      if (this.part !== "skipped") this.pending.push(taken.slice())
      this.pendingSize += taken.length
      while (this.pendingSize === this.needed) this.step()
    }
    return this.output
  }

  end(): void {
    if (this.part !== "magic" || this.pendingSize > 0) throw new Error("the last frame is not complete")
  }

  private next(part: Part, needed: number, kept: ReadonlyArray<Uint8Array> = []): void {
    this.part = part
    this.needed = needed
    this.pending = [...kept]
    this.pendingSize = kept.reduce((sum, { length }) => sum + length, 0)
  }

  private step(): void {
    const bytes = concat(this.pending)
    switch (this.part) {
      case "magic":
        if (uint32(bytes) >>> 4 === 0x184d2a5) return this.next("skippedSize", 8, [bytes])
        if (uint32(bytes) !== magic) throw new Error("a frame does not start with the magic number")
        return this.next("header", headerSize(bytes), [bytes])
      case "skippedSize":
        return uint32(bytes, 4) === 0 ? this.next("magic", 5) : this.next("skipped", uint32(bytes, 4))
      case "skipped":
        return this.next("magic", 5)
      case "header":
        return this.startFrame(bytes)
      case "blockHeader":
        return this.startBlock(bytes)
      case "block":
        return this.endBlock(bytes)
      case "checksum":
        if (uint32(bytes) !== this.frame?.hash?.digestLow()) throw new Error("the content does not match its checksum")
        return this.endFrame()
    }
  }

  private startFrame(header: Uint8Array): void {
    const descriptor = header[4]!
    if ((descriptor & 3) !== 0) throw new Error("the frame needs a dictionary")
    const size = this.contentSizeOf(concat([header, new Uint8Array(1)]))
    const contentSize = typeof size === "number" ? size : undefined
    if (windowSize(header, contentSize) > maxWindow) {
      throw new Error(`the frame needs more than ${maxWindow} bytes of memory: compress it with a window of 27 or less`)
    }
    const frame: Frame = {
      decompress: new fzstd.Decompress((content) => this.emit(content)),
      hash: (descriptor & 4) === 0 ? undefined : new Xxh64(),
      contentSize,
      length: 0
    }
    this.frame = frame
    // fzstd needs no checksum, which is checked here
    const withoutChecksum = header.slice()
    withoutChecksum[4] = descriptor & ~4
    frame.decompress.push(withoutChecksum)
    this.next("blockHeader", 3)
  }

  private emit(content: Uint8Array): void {
    const frame = this.frame!
    if (content.length === 0) return
    frame.length += content.length
    frame.hash?.update(content)
    // fzstd may write to its array again
    this.output.push(content.slice())
  }

  private startBlock(bytes: Uint8Array): void {
    const header = bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16)
    const [type, size] = [(header >> 1) & 3, header >> 3]
    if (size > maxBlock || type === 3) throw new Error("a block is malformed")
    this.isLastBlock = (header & 1) === 1
    this.next("block", 3 + (type === 1 ? 1 : size), [bytes])
  }

  private endBlock(bytes: Uint8Array): void {
    const frame = this.frame!
    frame.decompress.push(bytes, this.isLastBlock)
    if (!this.isLastBlock) return this.next("blockHeader", 3)
    if (frame.contentSize !== undefined && frame.contentSize !== frame.length) {
      throw new Error(`the content has ${frame.length} bytes, but the header announces ${frame.contentSize}`)
    }
    return frame.hash === undefined ? this.endFrame() : this.next("checksum", 4)
  }

  private endFrame(): void {
    this.frame = undefined
    this.next("magic", 5)
  }
}
