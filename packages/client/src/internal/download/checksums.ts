/** Checksums that a server announces for a file, and their verification. */
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Stream from "effect/Stream"
import { platform } from "#platform"
import type { Hash } from "../platform/platform.ts"

type Algorithm = "sha512" | "sha256" | "md5" | "crc32c"

/** @internal */
export interface Checksum {
  readonly algorithm: Algorithm
  /** in base64 */
  readonly value: string
}

type Headers = { readonly [name: string]: string | undefined }

const byName: { readonly [name: string]: Algorithm } = {
  "sha-512": "sha512",
  "sha-256": "sha256",
  md5: "md5",
  crc32c: "crc32c"
}

/** Lengths in base64. A value of another length is not of the whole file: S3 appends `-7` to one of seven parts. */
const lengths: { readonly [algorithm in Algorithm]: number } = { sha512: 88, sha256: 44, md5: 24, crc32c: 8 }

// the strongest first
const algorithms: ReadonlyArray<Algorithm> = ["sha512", "sha256", "md5", "crc32c"]

const makeChecksum = (algorithm: Algorithm | undefined, text: string | undefined): ReadonlyArray<Checksum> => {
  const value = text?.trim().replace(/^:(.*):$/, "$1")
  return algorithm === undefined || value?.length !== lengths[algorithm] || !/^[\w+/]+={0,2}$/.test(value)
    ? []
    : [{ algorithm, value }]
}

/** Reads `name=value, name=value`, as `Digest`, `Repr-Digest` and `x-goog-hash` have it. */
const readList = (header: string | undefined): ReadonlyArray<Checksum> =>
  (header ?? "").split(",").flatMap((item) => {
    const equals = item.indexOf("=")
    return equals < 0 ? [] : makeChecksum(byName[item.slice(0, equals).trim().toLowerCase()], item.slice(equals + 1))
  })

/**
 * The checksums of a whole file in the headers of a response: those of the Google and Azure storage services, of S3, and
 * of HTTP itself. `isPart` says that the response has only a range of the file. @internal
 */
export const checksumsOf = (headers: Headers, isPart: boolean): ReadonlyArray<Checksum> => {
  const encodings = [headers["content-encoding"], headers["x-goog-stored-content-encoding"]]
  // such checksums are those of compressed bytes
  if (encodings.some((encoding = "identity") => encoding !== "identity")) return []
  const isComposite = headers["x-amz-checksum-type"]?.toUpperCase() === "COMPOSITE"
  return [
    ...readList(headers["x-goog-hash"]),
    ...readList(headers["digest"]),
    ...readList(headers["repr-digest"]),
    ...makeChecksum("md5", headers["x-ms-blob-content-md5"]),
    ...(isComposite ? [] : makeChecksum("sha256", headers["x-amz-checksum-sha256"])),
    ...(isComposite ? [] : makeChecksum("crc32c", headers["x-amz-checksum-crc32c"])),
    // these two are of the content of the response
    ...(isPart ? [] : readList(headers["content-digest"])),
    ...(isPart ? [] : makeChecksum("md5", headers["content-md5"]))
  ]
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** CRC-32 with Castagnoli's polynomial, which no runtime has. */
const makeCrc32c = (): Hash => {
  let crc = 0xffffffff
  return {
    update: (bytes) => {
      for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8)
    },
    digest: () => {
      const bytes = new Uint8Array(4)
      new DataView(bytes.buffer).setUint32(0, (crc ^ 0xffffffff) >>> 0)
      return Encoding.encodeBase64(bytes)
    }
  }
}

const makeHash = (algorithm: Algorithm): Hash | undefined =>
  algorithm === "crc32c" ? makeCrc32c() : platform.makeHash(algorithm)

/** Reads a file, and returns the strongest of its announced checksums if that is not the file's. @internal */
export const findMismatch = (
  file: string,
  announced: ReadonlyArray<Checksum>
): Effect.Effect<
  (Checksum & { readonly actual: string }) | undefined,
  PlatformError.PlatformError,
  FileSystem.FileSystem
> =>
  Effect.gen(function* () {
    for (const name of algorithms) {
      const checksum = announced.find(({ algorithm }) => algorithm === name)
      const hash = checksum === undefined ? undefined : makeHash(name)
      if (checksum === undefined || hash === undefined) continue
      const fs = yield* FileSystem.FileSystem
      yield* Stream.runForEach(fs.stream(file, { chunkSize: 1024 * 1024 }), (bytes) =>
        Effect.sync(() => hash.update(bytes))
      )
      const actual = hash.digest()
      return actual === checksum.value ? undefined : { ...checksum, actual }
    }
    return undefined
  })
