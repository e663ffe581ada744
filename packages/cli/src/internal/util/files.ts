/** Files, with errors that name the path. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"

const toCliError = (verb: string, path: string) => (cause: { readonly message: string }) =>
  new CliError({ title: `Cannot ${verb} ${path}`, details: cause.message, cause })

/** Writes a file, and creates its directory. @internal */
export const write = Effect.fnUntraced(function* (path: string, contents: string | Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  yield* fs
    .makeDirectory(dirname(path), { recursive: true })
    .pipe(
      Effect.andThen(typeof contents === "string" ? fs.writeFileString(path, contents) : fs.writeFile(path, contents)),
      Effect.mapError(toCliError("write", path))
    )
})

/** @internal */
export const readText = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* Effect.mapError(fs.readFileString(path), toCliError("read", path))
})
