/**
 * The lines of a text file of any size, by their positions: JSON Lines files, plain text. Opening a file reads it once,
 * part by part, and keeps 12 bytes a line; then each line is read from its place in the file, so a program that resumes or
 * shuffles needs no other state.
 *
 * Files may be compressed with gzip or zstd; they are decompressed to a temporary file. Line ends are `\n` or `\r\n`, and
 * a byte order mark at the start is no part of the text. What is not UTF-8 is refused with its line.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { DatasetError } from "./internal/bytes/datasetError.ts"
import * as lines from "./internal/bytes/lines.ts"
import { openFile } from "./internal/bytes/openFile.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the longest line, in bytes; 16 MiB by default */
  readonly maxLineBytes?: number | undefined
  /** the largest number of lines that are not blank; 100 million by default */
  readonly maxLines?: number | undefined
  /** the largest size of a compressed file after decompression, in bytes; 256 GiB by default */
  readonly maxBytes?: number | undefined
}

/**
 * A line without its end, and its number, counted from 1.
 *
 * @since 0.1.0
 * @category models
 */
export interface Line {
  readonly text: string
  readonly line: number
}

/**
 * The lines that are not blank.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lines {
  readonly path: string
  readonly size: number
  readonly compression: "gzip" | "zstd" | undefined
  /**
   * The line at a position from 0 to `size - 1`. It fails if the file can no longer be read.
   *
   * @throws RangeError if there is no line at the position.
   */
  readonly at: (position: number) => Effect.Effect<Line, DatasetError>
  /** the lines from a position on, the first one by default */
  readonly stream: (from?: number) => Stream.Stream<Line, DatasetError>
}

/**
 * Opens a file, and closes it with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open: (
  path: string,
  options?: Options
) => Effect.Effect<Lines, DatasetError, FileSystem.FileSystem | Scope.Scope> = Effect.fn("Lines.open")(function* (
  path,
  { maxBytes = 2 ** 38, maxLineBytes = 2 ** 24, maxLines = 1e8 } = {}
) {
  const limits = { maxLineBytes, maxLines }
  const file = yield* openFile(path, { maxBytes })
  if (file.kind !== "text") return yield* new DatasetError({ path, reason: "is a Parquet file, which has no lines" })
  const index = yield* lines.scan(file, limits, () => undefined)
  const size = index.offsets.length
  const read = lines.makeReader(file, index, limits)
  const at = (position: number): Effect.Effect<Line, DatasetError> => {
    if (!Number.isInteger(position) || position < 0 || position >= size) {
      throw new RangeError(`there is no line at position ${position}: ${path} has ${size}`)
    }
    return Effect.flatMap(read(position), (found) =>
      Effect.map(lines.textOf(path, found), (text) => ({ text, line: found.line }))
    )
  }
  return {
    path,
    size,
    compression: file.compression,
    at,
    stream: (from = 0) =>
      Stream.unfoldEffect(from, (position) =>
        position < size
          ? Effect.map(at(position), (line) => Option.some([line, position + 1] as const))
          : Effect.succeedNone
      )
  }
})
