/** Reads a tar archive as its bytes arrive. */
import * as tarHeader from "./tarHeader.ts"
import { blockSize, reject } from "./tarHeader.ts"

/** What an archive contains, in the order of its bytes. @internal */
export type TarEvent =
  | { readonly _tag: "Directory"; readonly path: ReadonlyArray<string> }
  /** followed by its `size` bytes as `Data`, and by `End` */
  | { readonly _tag: "File"; readonly path: ReadonlyArray<string>; readonly size: number }
  | { readonly _tag: "Data"; readonly bytes: Uint8Array }
  | { readonly _tag: "End" }

interface Limits {
  /** of all files together, in bytes */
  readonly size: number
  readonly entries: number
}

// a name, or the records of a pax header
const maxMetadataSize = 64 * 1024

const isMetadata = (type: string) => type === "x" || type === "L"
const isDirectory = (type: string, name: string) =>
  type === "5" || ((type === "0" || type === "\0") && name.endsWith("/"))
const isLink = (type: string) => type === "1" || type === "2" || type === "K"
const isFile = (type: string) => type === "0" || type === "\0" || type === "7"

/**
 * Accepts files and directories only. It rejects links, devices, names that lead out of the target directory, archives that
 * exceed the limits, and archives that are cut off. Its methods throw `ArchiveRejected`.
 *
 * @internal
 */
export class TarReader {
  readonly #limits: Limits
  readonly #header = new Uint8Array(blockSize)
  #headerFilled = 0
  #ended = false
  /** bytes of the current entry, and of the padding behind it, that have not arrived yet */
  #remaining = 0
  #padding = 0
  #totalSize = 0
  #entries = 0
  /** what the contents of the current entry are */
  #reading: "file" | "skip" | "pax" | "name" | undefined = undefined
  #metadata = new Uint8Array(0)
  /** of the next entry */
  #overrides: tarHeader.Overrides = {}

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Reads more bytes, and returns what they complete. */
  push(chunk: Uint8Array): ReadonlyArray<TarEvent> {
    const out: Array<TarEvent> = []
    let offset = 0
    // the end is followed by padding only
    while (offset < chunk.length && !this.#ended) {
      const rest = chunk.subarray(offset)
      if (this.#remaining > 0) offset += this.#readContents(rest, out)
      else if (this.#padding > 0) offset += this.#skipPadding(rest)
      else offset += this.#readHeader(rest, out)
    }
    return out
  }

  /** Checks that the archive is complete. */
  end(): void {
    const isInEntry = this.#remaining > 0 || this.#headerFilled > 0 || this.#reading !== undefined
    if (isInEntry) reject("it is cut off")
    if (this.#entries === 0) reject("it is empty")
    // an archive that was cut off between two files has no end
    if (!this.#ended) reject("it is cut off: its end is missing")
  }

  #readContents(rest: Uint8Array, out: Array<TarEvent>): number {
    const bytes = rest.subarray(0, this.#remaining)
    if (this.#reading === "file") out.push({ _tag: "Data", bytes })
    else if (this.#reading !== "skip") this.#metadata.set(bytes, this.#metadata.length - this.#remaining)
    this.#remaining -= bytes.length
    if (this.#remaining === 0) this.#finishEntry(out)
    return bytes.length
  }

  #skipPadding(rest: Uint8Array): number {
    const size = Math.min(this.#padding, rest.length)
    this.#padding -= size
    return size
  }

  #readHeader(rest: Uint8Array, out: Array<TarEvent>): number {
    const bytes = rest.subarray(0, blockSize - this.#headerFilled)
    this.#header.set(bytes, this.#headerFilled)
    this.#headerFilled += bytes.length
    if (this.#headerFilled === blockSize) {
      this.#headerFilled = 0
      this.#startEntry(out)
      if (this.#remaining === 0 && this.#reading !== undefined) this.#finishEntry(out)
    }
    return bytes.length
  }

  #startEntry(out: Array<TarEvent>): void {
    const header = this.#header
    if (tarHeader.isEnd(header)) {
      this.#ended = true
      return
    }
    tarHeader.checkChecksum(header)
    if (++this.#entries > this.#limits.entries) reject(`it contains more than ${this.#limits.entries} entries`)
    const type = tarHeader.typeOf(header)
    const size = (isMetadata(type) ? undefined : this.#overrides.size) ?? tarHeader.sizeOf(header)
    this.#remaining = size
    this.#padding = (blockSize - (size % blockSize)) % blockSize
    if (isMetadata(type)) return this.#startMetadata(type, size)
    // attributes of all entries behind it, none of which matters here
    if (type === "g") {
      this.#reading = "skip"
      return
    }
    const name = this.#overrides.path ?? tarHeader.nameOf(header)
    this.#overrides = {}
    // some writers name the directory that they archive like this
    const isTarget = isDirectory(type, name) && /^\/*$/.test(name)
    const path = isTarget ? [] : tarHeader.segmentsOf(name)
    if (isDirectory(type, name)) {
      if (size !== 0) reject("it contains a directory with content")
      if (path.length > 0) out.push({ _tag: "Directory", path })
      return
    }
    if (isLink(type)) reject(`it contains a link, ${tarHeader.show(name)}`)
    if (!isFile(type)) reject(`it contains ${tarHeader.show(name)}, which is neither a file nor a directory`)
    this.#startFile(path, size, out)
  }

  #startMetadata(type: string, size: number): void {
    if (size > maxMetadataSize) reject("a name in it is too long")
    this.#reading = type === "x" ? "pax" : "name"
    this.#metadata = new Uint8Array(size)
  }

  #startFile(path: ReadonlyArray<string>, size: number, out: Array<TarEvent>): void {
    if (path.length === 0) reject("it contains a file without a name")
    this.#totalSize += size
    if (this.#totalSize > this.#limits.size) reject(`its files are larger than ${this.#limits.size} bytes`)
    out.push({ _tag: "File", path, size })
    if (size === 0) out.push({ _tag: "End" })
    else this.#reading = "file"
  }

  #finishEntry(out: Array<TarEvent>): void {
    if (this.#reading === "file") out.push({ _tag: "End" })
    if (this.#reading === "pax") {
      this.#overrides = { ...this.#overrides, ...tarHeader.readPaxRecords(this.#metadata) }
    }
    if (this.#reading === "name") {
      this.#overrides = { ...this.#overrides, path: tarHeader.readText(this.#metadata) }
    }
    this.#reading = undefined
  }
}
