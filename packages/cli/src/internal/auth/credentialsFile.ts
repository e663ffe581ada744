/** The file of stored API keys below the home directory, and its errors as those of a command. */
import * as CredentialsFile from "@effect-tinker/client/CredentialsFile"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"

const location = Effect.gen(function* () {
  const { join } = yield* Path.Path
  const home = yield* Config.string("HOME").pipe(
    Config.orElse(() => Config.string("USERPROFILE")),
    Effect.mapError(() => new CliError({ title: "There is no home directory", details: "Set HOME" }))
  )
  return join(home, ".tinker", "credentials.json")
})

const toCliError = (error: { readonly path: string; readonly reason: string }) =>
  new CliError({ title: `${error.path} ${error.reason}`, cause: error })

/** The stored keys; none where there is no file. @internal */
export const read = Effect.flatMap(location, (file) => Effect.mapError(CredentialsFile.read(file), toCliError))

/** Replaces the file. @internal */
export const write = (keys: CredentialsFile.StoredKeys) =>
  Effect.flatMap(location, (file) => Effect.mapError(CredentialsFile.write(file, keys), toCliError))
