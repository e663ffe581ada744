/** Decompresses a file into a temporary one, since only that can be read from anywhere in it. */
import * as Zstd from "@effect-tinker/api/Zstd"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { DatasetError } from "./datasetError.ts"

/** @internal */
export interface Limits {
  /** the largest size of a decompressed file, in bytes */
  readonly maxBytes: number
}

const reasonOf = (cause: unknown): string => {
  if (cause instanceof Error) {
    const { code } = cause as { readonly code?: unknown }
    return code === "Z_BUF_ERROR" ? "the file ends too early" : cause.message
  }
  return String(cause)
}

const broken = (path: string, format: string, cause: unknown): DatasetError =>
  new DatasetError({ path, reason: `cannot be decompressed (${format}): ${reasonOf(cause)}`, cause })

/** The compression of the platform, which checks the checksum and the length of each member. */
const gunzip = <E>(path: string, compressed: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, DatasetError> =>
  Stream.unwrap(
    Effect.map(Stream.toReadableStreamEffect(compressed), (readable) =>
      Stream.fromReadableStream(
        () => readable.pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>),
        (cause) => broken(path, "gzip", cause)
      )
    )
  )

const unzstd = <E>(
  path: string,
  compressed: Stream.Stream<Uint8Array, E>,
  maxBytes: number
): Stream.Stream<Uint8Array, DatasetError> =>
  Stream.mapError(Zstd.decompressStream(maxBytes)(compressed), (cause) => {
    const detail = cause instanceof Zstd.ZstdError ? new Error(cause.detail) : cause
    return broken(path, "zstd", detail)
  })

/** Writes a stream to a temporary file that is removed with the scope. Succeeds with its path. @internal */
export const spool = Effect.fnUntraced(function* <E>(
  path: string,
  content: Stream.Stream<Uint8Array, E>,
  { maxBytes }: Limits
) {
  const fs = yield* FileSystem.FileSystem
  const failed = (cause: unknown) =>
    new DatasetError({ path, reason: "cannot be copied to a temporary file: is the disk full?", cause })
  const temporary = yield* Effect.mapError(fs.makeTempFileScoped({ prefix: "tinker-data-" }), failed)
  const file = yield* Effect.mapError(fs.open(temporary, { flag: "w" }), failed)
  let length = 0
  yield* Stream.runForEach(content, (bytes) => {
    length += bytes.length
    return length > maxBytes
      ? Effect.fail(
          new DatasetError({ path, reason: `has more than ${maxBytes} bytes: raise maxBytes if that is right` })
        )
      : Effect.mapError(file.writeAll(bytes), failed)
  })
  return temporary
})

/** Decompresses a file to a temporary one that is removed with the scope. Succeeds with its path. @internal */
export const decompress = Effect.fnUntraced(function* (path: string, format: "gzip" | "zstd", limits: Limits) {
  const fs = yield* FileSystem.FileSystem
  const compressed = fs.stream(path, { chunkSize: 64 * 1024 })
  // one byte more, so that the message is the same for both
  const content = format === "gzip" ? gunzip(path, compressed) : unzstd(path, compressed, limits.maxBytes + 1)
  return yield* spool(path, content, limits)
})
