/** The rows of a Parquet file as lines of JSON, read by row groups. */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet"
import { compressors } from "hyparquet-compressors"
import { DatasetError } from "../bytes/datasetError.ts"
import type { FileBytes } from "../bytes/fileBytes.ts"
import { makeRunPromise, type RunPromise } from "../effect/runtime.ts"
import { yieldToEventLoop } from "../effect/macrotask.ts"

/** The most that a row group may have after decompression, in bytes: it is in memory as a whole. */
const maxGroupBytes = 2 ** 30

/** The most bytes of metadata at the end of a file. */
const maxMetadataBytes = 2 ** 28

/** Rows that are made into lines before others get their turn. */
const rowsAtATime = 200

/** The columns that records of known formats have; others, such as images or scores, are not read. */
const knownColumns = new Set(
  (
    "messages conversations prompt completion chosen rejected preferred_output non_preferred_output input instruction " +
    "output history system system_prompt tools functions parallel_tool_calls text split"
  ).split(" ")
)

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Text as it is; what is not UTF-8 is no text. */
const stringFromBytes = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : decoder.decode(bytes)

/** A value as JSON has it. */
const toJson = (value: unknown): unknown => {
  if (value === undefined || value === null) return null
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return decoder.decode(value)
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value === "number" && !Number.isFinite(value)) return null
  if (typeof value !== "object") return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toJson(each)]))
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const broken = (path: string, cause: unknown): DatasetError =>
  cause instanceof DatasetError
    ? cause
    : new DatasetError({ path, reason: `cannot be read as Parquet: ${messageOf(cause)}`, cause })

/** Ranges of a file for the library. Its metadata may name a range that the file does not have. */
const bufferOf = (file: FileBytes, run: RunPromise): AsyncBuffer => ({
  byteLength: file.size,
  slice: (start, end = file.size) => {
    const from = start < 0 ? file.size + start : start
    if (from < 0 || end > file.size || end < from) return Promise.reject(new Error("a range lies outside of the file"))
    return run(file.read(from, end - from)).then((bytes) => bytes.buffer as ArrayBuffer)
  }
})

/** The columns to read; all of them if none is known. */
const columnsOf = (metadata: FileMetaData, onlyKnown: boolean): Array<string> | undefined => {
  const [root] = metadata.schema
  const names = new Set(
    metadata.row_groups.flatMap(({ columns }) => columns.flatMap(({ meta_data }) => meta_data?.path_in_schema[0] ?? []))
  )
  const known = [...names].filter((name) => knownColumns.has(name))
  return root === undefined || !onlyKnown || known.length === 0 ? undefined : known
}

/** A row of the file, counted from 0, or why it has none. @internal */
export type Row = { readonly json: string } | { readonly problem: string }

const rowOf = (row: unknown): Row => {
  try {
    return { json: Json.stringify(toJson(row)) }
  } catch (cause) {
    const problem =
      cause instanceof TypeError && /encoded data/.test(cause.message) ? "has text that is not UTF-8" : messageOf(cause)
    return { problem }
  }
}

const readMetadata = (path: string, buffer: AsyncBuffer) =>
  Effect.tryPromise({
    try: async () => {
      if (buffer.byteLength < 12) throw new Error("the file is too short")
      const end = new DataView(await buffer.slice(buffer.byteLength - 8))
      if (end.getUint32(0, true) > maxMetadataBytes) throw new Error(`more than ${maxMetadataBytes} bytes of metadata`)
      return parquetMetadataAsync(buffer)
    },
    catch: (cause) => broken(path, cause)
  })

/** The rows of a group, which is read and decompressed as a whole. */
const readGroup = (
  path: string,
  file: AsyncBuffer,
  metadata: FileMetaData,
  columns: Array<string> | undefined,
  rowStart: number,
  rowEnd: number
) =>
  Effect.tryPromise({
    try: () =>
      parquetReadObjects({
        file,
        metadata,
        compressors,
        rowStart,
        rowEnd,
        utf8: false,
        parsers: { stringFromBytes },
        ...(columns === undefined ? {} : { columns })
      }),
    catch: (cause) => broken(path, cause)
  })

const groupsOf = (metadata: FileMetaData) => {
  let start = 0
  return metadata.row_groups.map(({ num_rows, total_byte_size }) => {
    const group = { start, end: start + Number(num_rows), bytes: Number(total_byte_size) }
    start = group.end
    return group
  })
}

/** All rows, in their order. @internal */
export const rows = (file: FileBytes, onlyKnown: boolean): Stream.Stream<Row, DatasetError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { path } = file
      const buffer = bufferOf(file, yield* makeRunPromise)
      const metadata = yield* readMetadata(path, buffer)
      const columns = columnsOf(metadata, onlyKnown)
      return Stream.fromIterable(groupsOf(metadata)).pipe(
        Stream.mapEffect(({ bytes, end, start }) =>
          bytes > maxGroupBytes
            ? new DatasetError({
                path,
                row: start,
                reason: `a row group has ${bytes} bytes: write the file with row groups of ${maxGroupBytes} bytes at most`
              })
            : readGroup(path, buffer, metadata, columns, start, end)
        ),
        Stream.flatMap((found) => Stream.fromIterable(found), { bufferSize: 1 }),
        Stream.grouped(rowsAtATime),
        Stream.mapEffect((some) => Effect.as(yieldToEventLoop, Array.from(some, rowOf))),
        Stream.flatMap(Stream.fromIterable)
      )
    })
  )
