import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Credentials from "@effect-tinker/client/Credentials"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { CliError } from "../cliError.ts"
import type { Global } from "../commands.ts"
import { describe } from "../failure.ts"
import * as Io from "../io.ts"
import * as output from "../output.ts"
import { withRest } from "../rest.ts"

// The file of the Python command, which either may have written: what is not known of it stays as it is.
const Stored = Schema.Struct({
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
type Stored = typeof Stored.Type

const decode = Schema.decodeUnknown(Schema.parseJson(Stored))

const consoleUrl = "https://tinker.thinkingmachines.ai"

const open = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { dirname, join } = yield* Path.Path
  const home = yield* Config.string("HOME").pipe(
    Config.orElse(() => Config.string("USERPROFILE")),
    Effect.mapError(() => new CliError({ title: "There is no home directory", details: "Set HOME" }))
  )
  const file = join(home, ".tinker", "credentials.json")
  const failed = (cause: { readonly message: string }) =>
    new CliError({ title: `Cannot use ${file}`, details: cause.message, cause })
  const read = fs.readFileString(file).pipe(
    Effect.catchIf(
      (error) => error._tag === "SystemError" && error.reason === "NotFound",
      () => Effect.succeed("{}")
    ),
    Effect.mapError(failed),
    // not what is wrong with it: that might show a key
    Effect.flatMap((text) =>
      Effect.mapError(
        decode(text),
        () => new CliError({ title: `${file} does not hold stored keys`, details: "Move it away, and log in again" })
      )
    )
  )
  /** For its owner alone, and whole or not at all. */
  const write = (stored: Stored) =>
    Effect.gen(function* () {
      const directory = dirname(file)
      if (!(yield* fs.exists(directory))) {
        yield* fs.makeDirectory(directory, { recursive: true })
        yield* fs.chmod(directory, 0o700)
      }
      const draft = yield* fs.makeTempFileScoped({ directory, prefix: ".credentials-" })
      yield* fs.chmod(draft, 0o600)
      yield* fs.writeFileString(draft, JSON.stringify(stored, null, 2))
      yield* fs.rename(draft, file)
    }).pipe(Effect.scoped, Effect.uninterruptible, Effect.mapError(failed))
  return { read, write }
})

/** Asks with a key, whatever else the environment names. */
const withKey = <A>(
  key: string,
  ask: (rest: RestClient.Service) => Effect.Effect<A, TinkerError.TinkerError>
): Effect.Effect<A, TinkerError.TinkerError> =>
  Effect.flatMap(Credentials.make({ apiKey: Redacted.make(key) }), (credentials) =>
    withRest(Effect.flatMap(RestClient.RestClient, ask), { credentials })
  )

const defaultOf = (stored: Stored) =>
  stored.default === undefined || stored.keys[stored.default] === undefined
    ? undefined
    : { id: stored.default, record: stored.keys[stored.default]! }

/** @internal */
export const login = (options: Global) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const { read, write } = yield* open
    const stored = yield* read
    if (defaultOf(stored) !== undefined) {
      return yield* new CliError({ title: "Already logged in", details: "Run 'tinker auth logout' first" })
    }
    const name = encodeURIComponent(`tinker-cli-${io.machine}`)
    yield* io.err(`Create an API key: ${consoleUrl}/keys?new_key=true&key_name=${name}\nPaste it here: `)
    const key = ((yield* io.readSecret) ?? "").trim()
    yield* io.err("\n")
    if (key === "") return yield* new CliError({ title: "The API key must not be empty" })
    yield* io.hide(key)
    const found = yield* withKey(key, (rest) => rest.getApiKey).pipe(
      Effect.mapError(
        (cause) => new CliError({ title: "Could not validate the API key", details: describe(cause), cause })
      )
    )
    const { details, key_id, note } = found
    const id = String(key_id)
    yield* write({
      ...stored,
      default: id,
      keys: { ...stored.keys, [id]: { type: "manual", key, name: found.name, note, details } }
    })
    const [email, organization] = [details.user_details.email, details.org_details.name]
    yield* output.text(options.format, {
      json: { key_id, name: found.name, email, organization },
      text: `Logged in as ${email} (${organization}). Stored API key '${found.name}' as the default credential.\n`
    })
  })

/** @internal */
export const logout = (options: Global) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const { read, write } = yield* open
    const stored = yield* read
    const found = defaultOf(stored)
    if (found === undefined) {
      return yield* new CliError({
        title: "No default credential is stored",
        details: "There is nothing to log out from; 'tinker auth login' logs in"
      })
    }
    const { id, record } = found
    const name = record.name ?? id
    yield* io.hide(record.key)
    const { [id]: _removed, ...keys } = stored.keys
    yield* write({ version: stored.version, keys })
    const page = `${consoleUrl}/keys/${encodeURIComponent(id)}`
    // a key that was made for this machine alone ends with it
    const generated = record.type === "generated"
    if (generated) {
      yield* withKey(record.key, (rest) => rest.deleteApiKey).pipe(
        Effect.mapError(
          (cause) =>
            new CliError({
              title: "Could not delete the API key on the server",
              details: `The local credential '${name}' is removed; delete the key at ${page}: ${describe(cause)}`,
              cause
            })
        )
      )
    }
    yield* output.text(options.format, {
      json: { key_id: id, name, deleted: generated },
      text: generated
        ? `Removed credential '${name}' and deleted its API key on the server.\n`
        : `Removed credential '${name}'. The API key is still active; delete it at ${page}\n`
    })
  })

/** @internal */
export const status = (options: Global) =>
  Effect.gen(function* () {
    const available = yield* Effect.either(TinkerConfig.fromConfig())
    const report = (accessible: boolean) =>
      output.text(options.format, {
        json: { credentials_available: available._tag === "Right", accessible },
        text:
          available._tag === "Left"
            ? "Credentials available: no\n"
            : `Credentials available: yes\nTinker accessible: ${accessible ? "yes" : "no"}\n`
      })
    if (available._tag === "Left") {
      yield* report(false)
      return yield* available.left
    }
    yield* withRest(Effect.flatMap(RestClient.RestClient, (rest) => rest.getServerCapabilities)).pipe(
      Effect.tapError(() => report(false))
    )
    yield* report(true)
  })

/** @internal */
export const whoami = (options: Global) =>
  Effect.gen(function* () {
    const { email, organization_urn, user_urn } = yield* withRest(
      Effect.flatMap(RestClient.RestClient, (rest) => rest.whoami)
    )
    yield* output.print(options.format, {
      json: { email: email ?? null, user_urn, org_urn: organization_urn ?? null },
      table: {
        columns: ["Property", "Value"],
        rows: [
          ["Email", email ?? "N/A"],
          ["User", user_urn],
          ["Organization", organization_urn ?? "N/A"]
        ]
      }
    })
  })
