/** Reads parts of safetensors files. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { FileProblem } from "./files.ts"

const lengthBytes = 8
const mostHeaderBytes = 100 * 2 ** 20

/** Fails if the file ends before. @internal */
export const readBytes = (path: string, file: FileSystem.File, offset: number, bytes: number) =>
  Effect.gen(function* () {
    yield* file.seek(FileSystem.Size(offset), "start")
    const out = new Uint8Array(bytes)
    for (let done = 0; done < bytes;) {
      const part = yield* file.readAlloc(FileSystem.Size(Math.min(bytes - done, 2 ** 24)))
      if (Option.isNone(part)) return yield* Effect.fail(new FileProblem(path, "is incomplete"))
      out.set(part.value, done)
      done += part.value.length
    }
    return out
  })

/** The entries of a file's header, and where the data starts. @internal */
export const readHeader = (path: string, file: FileSystem.File, size: number) =>
  Effect.gen(function* () {
    const length = new DataView((yield* readBytes(path, file, 0, Math.min(lengthBytes, size))).buffer)
    const bytes = size < lengthBytes ? 0 : Number(length.getBigUint64(0, true))
    if (bytes > Math.min(mostHeaderBytes, size - lengthBytes)) {
      return yield* Effect.fail(new FileProblem(path, "is not a safetensors file: its header is longer than the file"))
    }
    const json = new TextDecoder().decode(yield* readBytes(path, file, lengthBytes, bytes))
    const decoded = yield* Schema.decodeUnknown(
      Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
    )(json).pipe(Effect.mapError((cause) => new FileProblem(path, "is not a safetensors file", cause)))
    return { entries: decoded, start: lengthBytes + bytes }
  })
