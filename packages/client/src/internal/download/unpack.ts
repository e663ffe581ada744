/** Unpacks an archive into a directory. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileError } from "./fileErrors.ts"
import { ArchiveRejected, reject, segmentsOf } from "./tarHeader.ts"
import { type TarEvent, TarReader } from "./tarReader.ts"

const maxEntries = 10_000
const chunkSize = 256 * 1024

const archiveError = (method: string, path: string) => (cause: unknown) => {
  const [reason, fields] = cause instanceof ArchiveRejected ? [cause.reason, {}] : [String(cause), { cause }]
  return new TinkerError.FileError({
    method,
    path,
    reason: `is not written, as what the service sent is not safe or not complete: ${reason}. Download it again`,
    ...fields
  })
}

/** The segments of a file name, unless it leads out of the target directory. @internal */
export const safeSegments = (
  method: string,
  name: string
): Effect.Effect<ReadonlyArray<string>, TinkerError.TinkerError> =>
  Effect.try({
    try: () => {
      const segments = segmentsOf(name)
      return segments.length === 0 ? reject("it contains a file without a name") : segments
    },
    catch: archiveError(method, name)
  })

const gunzip = (method: string, path: string, stream: Stream.Stream<Uint8Array, TinkerError.TinkerError>) =>
  Stream.unwrap(
    Effect.map(Stream.toReadableStreamEffect(stream), (compressed) =>
      Stream.fromReadableStream({
        evaluate: () =>
          compressed.pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>),
        onError: archiveError(method, path)
      })
    )
  )

const isGzip = (fs: FileSystem.FileSystem, archive: string) =>
  fs.stream(archive, { bytesToRead: 2 }).pipe(
    Stream.runFold([] as ReadonlyArray<number>, (all, bytes) => [...all, ...bytes]),
    Effect.map(([first, second]) => first === 0x1f && second === 0x8b)
  )

/** The file that is being written. */
interface OpenFile {
  readonly file: FileSystem.File
  readonly scope: Scope.CloseableScope
}

/** Writes files and directories below a target, one file after the other. */
const makeWriter = (fs: FileSystem.FileSystem, { dirname, join }: Path.Path, target: string) => {
  let open: OpenFile | undefined
  const close = Effect.suspend(() => {
    const scope = open?.scope
    open = undefined
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })
  const openFile = (path: string) =>
    Effect.gen(function* () {
      yield* fs.makeDirectory(dirname(path), { recursive: true })
      const scope = yield* Scope.make()
      // an archive with two files of the same name is rejected
      const file = yield* fs.open(path, { flag: "wx", mode: 0o644 }).pipe(Scope.extend(scope))
      open = { file, scope }
    })
  const write = (event: TarEvent): Effect.Effect<void, PlatformError.PlatformError> => {
    switch (event._tag) {
      case "Directory":
        return fs.makeDirectory(join(target, ...event.path), { recursive: true })
      case "File":
        return openFile(join(target, ...event.path))
      case "Data":
        return Effect.suspend(() => open!.file.writeAll(event.bytes))
      case "End":
        return Effect.andThen(
          Effect.suspend(() => open!.file.sync),
          close
        )
    }
  }
  return { close, write }
}

/** Unpacks a tar archive, compressed with gzip or not, into an empty directory. @internal */
export const unpack = ({
  archive,
  maxSize,
  method,
  shown,
  target
}: {
  readonly method: string
  readonly archive: string
  /** the path that errors name */
  readonly shown: string
  readonly target: string
  readonly maxSize: number
}): Effect.Effect<void, TinkerError.TinkerError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const toFileError = fileError(method, shown)
    const bytes = Stream.mapError(fs.stream(archive, { chunkSize }), toFileError)
    const compressed = yield* Effect.mapError(isGzip(fs, archive), toFileError)
    const reader = new TarReader({ size: maxSize, entries: maxEntries })
    const writer = makeWriter(fs, path, target)
    yield* (compressed ? gunzip(method, shown, bytes) : bytes).pipe(
      Stream.runForEach((chunk) =>
        Effect.flatMap(
          Effect.try({ try: () => reader.push(chunk), catch: archiveError(method, shown) }),
          Effect.forEach((event) => Effect.mapError(writer.write(event), toFileError), { discard: true })
        )
      ),
      Effect.andThen(Effect.try({ try: () => reader.end(), catch: archiveError(method, shown) })),
      Effect.ensuring(writer.close)
    )
  })

/** All files below a directory, in the order of their names. @internal */
export const listFiles = (
  directory: string
): Effect.Effect<
  ReadonlyArray<{ readonly name: string; readonly size: number }>,
  PlatformError.PlatformError,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const files: Array<{ readonly name: string; readonly size: number }> = []
    for (const name of (yield* fs.readDirectory(directory, { recursive: true })).slice().sort()) {
      const info = yield* fs.stat(join(directory, name))
      if (info.type === "File") files.push({ name: name.replaceAll("\\", "/"), size: Number(info.size) })
    }
    return files
  })
