import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { CliError } from "./cliError.ts"

const cannot = (what: string, path: string) => (cause: { readonly message: string }) =>
  new CliError({ title: `Cannot ${what} ${path}`, details: cause.message, cause })

/** Writes a file, and makes the directory that it lies in. @internal */
export const write = Effect.fnUntraced(function* (path: string, contents: string | Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  yield* fs
    .makeDirectory(dirname(path), { recursive: true })
    .pipe(
      Effect.zipRight(typeof contents === "string" ? fs.writeFileString(path, contents) : fs.writeFile(path, contents)),
      Effect.mapError(cannot("write", path))
    )
})

/** @internal */
export const readText = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* Effect.mapError(fs.readFileString(path), cannot("read", path))
})
