import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileError } from "./transfers.ts"
import * as untar from "./untar.ts"

const refused = (method: string, path: string) => (cause: unknown) =>
  cause instanceof untar.Refused
    ? new TinkerError.FileError({ method, path, reason: `is not unpacked: ${cause.reason}` })
    : new TinkerError.FileError({ method, path, reason: `cannot be read: ${String(cause)}`, cause })

/** The parts of a file's name, unless they lead elsewhere. @internal */
export const parts = (method: string, name: string): Effect.Effect<ReadonlyArray<string>, TinkerError.TinkerError> =>
  Effect.try({
    try: () => {
      const found = untar.partsOf(name)
      if (found.length === 0) throw new untar.Refused("it holds a file without a name")
      return found
    },
    catch: refused(method, name)
  })

const gunzipped = (method: string, path: string, stream: Stream.Stream<Uint8Array, TinkerError.TinkerError>) =>
  Stream.unwrap(
    Effect.map(Stream.toReadableStreamEffect(stream), (compressed) =>
      Stream.fromReadableStream({
        evaluate: () =>
          compressed.pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>),
        onError: refused(method, path)
      })
    )
  )

/** Unpacks a tar archive, compressed with gzip or not, into a directory that is empty. @internal */
export const unpack = ({
  archive,
  maxSize,
  method,
  target
}: {
  readonly method: string
  readonly archive: string
  readonly target: string
  readonly maxSize: number
}) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { dirname, join } = yield* Path.Path
    const failed = fileError(method, archive)
    const plain = Stream.mapError(fs.stream(archive, { chunkSize: 256 * 1024 }), failed)
    const magic = yield* fs.stream(archive, { bytesToRead: 2 }).pipe(
      Stream.runFold([] as ReadonlyArray<number>, (all, bytes) => [...all, ...bytes]),
      Effect.mapError(failed)
    )
    const bytes = magic[0] === 0x1f && magic[1] === 0x8b ? gunzipped(method, archive, plain) : plain
    const reader = untar.make({ size: maxSize, entries: 10_000 })

    let open: { readonly file: FileSystem.File; readonly scope: Scope.CloseableScope } | undefined
    const close = Effect.suspend(() => {
      const scope = open?.scope
      open = undefined
      return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
    })
    const apply = (event: untar.Event) =>
      Effect.gen(function* () {
        switch (event._tag) {
          case "Directory":
            return yield* fs.makeDirectory(join(target, ...event.path), { recursive: true })
          case "File": {
            const file = join(target, ...event.path)
            yield* fs.makeDirectory(dirname(file), { recursive: true })
            const scope = yield* Scope.make()
            // of two files of one name neither is taken
            const opened = yield* fs.open(file, { flag: "wx", mode: 0o644 }).pipe(Scope.extend(scope))
            open = { file: opened, scope }
            return
          }
          case "Data":
            return yield* open!.file.writeAll(event.bytes)
          case "End":
            return yield* close
        }
      }).pipe(Effect.mapError(failed))

    yield* bytes.pipe(
      Stream.runForEach((chunk) =>
        Effect.flatMap(
          Effect.try({ try: () => reader.push(chunk), catch: refused(method, archive) }),
          Effect.forEach(apply, { discard: true })
        )
      ),
      Effect.zipRight(Effect.try({ try: reader.end, catch: refused(method, archive) })),
      Effect.ensuring(close)
    )
  })

/** The files of a directory and below it. @internal */
export const list = (
  directory: string
): Effect.Effect<
  ReadonlyArray<{ readonly name: string; readonly size: number }>,
  PlatformError.PlatformError,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const found: Array<{ readonly name: string; readonly size: number }> = []
    for (const name of (yield* fs.readDirectory(directory, { recursive: true })).slice().sort()) {
      const info = yield* fs.stat(join(directory, name))
      if (info.type === "File") found.push({ name: name.replaceAll("\\", "/"), size: Number(info.size) })
    }
    return found
  })
