/** Remembers, beside the files of an unfinished download, which versions of them they are. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { fileError } from "./fileErrors.ts"
import type { FileVersion } from "./fileVersion.ts"

const fileName = "parts.json"

const Content = Schema.parseJson(
  Schema.Struct({
    /** what is downloaded, such as the path of a checkpoint */
    source: Schema.String,
    files: Schema.Record({
      key: Schema.String,
      value: Schema.Struct({
        total: Schema.optional(Schema.NonNegativeInt),
        validator: Schema.optional(Schema.String)
      })
    })
  })
)
type Content = typeof Content.Type
const decode = Schema.decode(Content)
const encode = Schema.encodeSync(Content)

/** The versions of the files in a directory of a download that `source` names; empty if there are none of it. */
const read = (directory: string, source: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const content = yield* Effect.flatMap(fs.readFileString(join(directory, fileName)), decode)
    return content.source === source ? content.files : {}
  }).pipe(Effect.orElseSucceed((): Content["files"] => ({})))

/** Whether a directory has parts of a source. @internal */
export const hasParts = (
  directory: string,
  source: string
): Effect.Effect<boolean, never, FileSystem.FileSystem | Path.Path> =>
  Effect.map(read(directory, source), (files) => Object.keys(files).length > 0)

/** The parts in one directory. @internal */
export interface Parts {
  /** of an earlier run */
  readonly versionOf: (name: string) => FileVersion | undefined
  /** Remembers the version of a file, so that a later run can resume it. */
  readonly remember: (name: string, version: FileVersion) => Effect.Effect<void, TinkerError.TinkerError>
  /** Nothing can be resumed from now on. */
  readonly forget: Effect.Effect<void, TinkerError.TinkerError>
}

/** @internal */
export const open = (
  method: string,
  directory: string,
  source: string
): Effect.Effect<Parts, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const file = join(directory, fileName)
    const earlier = yield* read(directory, source)
    let files = earlier
    const write = Effect.suspend(() => fs.writeFileString(`${file}.new`, encode({ source, files }))).pipe(
      // in one step: a half-written file could not be read
      Effect.andThen(fs.rename(`${file}.new`, file)),
      Effect.mapError(fileError(method, file))
    )
    return {
      versionOf: (name) => {
        const version = Object.hasOwn(earlier, name) ? earlier[name] : undefined
        return version === undefined ? undefined : { total: version.total, validator: version.validator }
      },
      remember: (name, version) =>
        Effect.suspend(() => {
          files = { ...files, [name]: version }
          return write
        }),
      forget: Effect.mapError(fs.remove(file, { force: true }), fileError(method, file))
    }
  })
