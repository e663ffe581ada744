/** The file of stored API keys, `~/.tinker/credentials.json`, which the Python command reads and writes too. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { CliError } from "../errors/cliError.ts"

// fields that are not listed are preserved
const CredentialsSchema = Schema.Struct({
  version: Schema.optionalWith(Schema.Literal(1), { default: () => 1 as const }),
  default: Schema.optionalWith(Schema.String, { nullable: true }),
  keys: Schema.optionalWith(
    Schema.Record({
      key: Schema.String,
      value: Schema.Struct(
        { type: Schema.optional(Schema.String), key: Schema.String, name: Schema.optional(Schema.String) },
        { key: Schema.String, value: Schema.Unknown }
      )
    }),
    { default: () => ({}) }
  )
})

/** @internal */
export type Credentials = typeof CredentialsSchema.Type

const decode = Schema.decodeUnknown(Schema.parseJson(CredentialsSchema))

const location = Effect.gen(function* () {
  const { join } = yield* Path.Path
  const home = yield* Config.string("HOME").pipe(
    Config.orElse(() => Config.string("USERPROFILE")),
    Effect.mapError(() => new CliError({ title: "There is no home directory", details: "Set HOME" }))
  )
  return join(home, ".tinker", "credentials.json")
})

const toCliError = (file: string) => (cause: { readonly message: string }) =>
  new CliError({ title: `Cannot use ${file}`, details: cause.message, cause })

/** The stored keys; none if there is no file. @internal */
export const read = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const file = yield* location
  const text = yield* fs.readFileString(file).pipe(
    Effect.catchIf(
      (error) => error._tag === "SystemError" && error.reason === "NotFound",
      () => Effect.succeed("{}")
    ),
    Effect.mapError(toCliError(file))
  )
  return yield* Effect.mapError(
    decode(text),
    // without the cause, whose message may contain a key
    () => new CliError({ title: `${file} does not hold stored keys`, details: "Move it away, and log in again" })
  )
})

/** Replaces the file atomically. Only its owner can read it. @internal */
export const write = (credentials: Credentials) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    const file = yield* location
    const replace = Effect.gen(function* () {
      const directory = dirname(file)
      if (!(yield* fs.exists(directory))) {
        yield* fs.makeDirectory(directory, { recursive: true })
        yield* fs.chmod(directory, 0o700)
      }
      const draft = yield* fs.makeTempFileScoped({ directory, prefix: ".credentials-" })
      yield* fs.chmod(draft, 0o600)
      yield* fs.writeFileString(draft, JSON.stringify(credentials, null, 2))
      yield* fs.rename(draft, file)
    })
    yield* replace.pipe(Effect.scoped, Effect.uninterruptible, Effect.mapError(toCliError(file)))
  })

/** The default key and its id, if one is stored. @internal */
export const defaultKey = (credentials: Credentials) =>
  credentials.default === undefined || credentials.keys[credentials.default] === undefined
    ? undefined
    : { id: credentials.default, record: credentials.keys[credentials.default]! }
