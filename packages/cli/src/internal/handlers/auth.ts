/** Handlers of `tinker auth`. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Credentials from "@effect-tinker/client/Credentials"
import * as CredentialsFile from "@effect-tinker/client/CredentialsFile"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as credentialsFile from "../auth/credentialsFile.ts"
import type { Global } from "../definition/global.ts"
import { CliError } from "../errors/cliError.ts"
import { describe } from "../errors/describe.ts"
import { withRest } from "../service/rest.ts"
import * as Io from "../terminal/io.ts"
import * as output from "../terminal/output.ts"

const consoleUrl = "https://tinker.thinkingmachines.ai"

/** Runs a request with this key, whatever credentials the environment names. */
const withKey = <A>(
  key: Redacted.Redacted,
  request: (rest: RestClient.Service) => Effect.Effect<A, TinkerError.TinkerError>
): Effect.Effect<A, TinkerError.TinkerError> =>
  Effect.flatMap(Credentials.make({ apiKey: key }), (credentials) =>
    withRest(Effect.flatMap(RestClient.RestClient, request), { credentials })
  )

/** Prompts for a new key. */
const promptForKey = Effect.gen(function* () {
  const io = yield* Io.Io
  const name = encodeURIComponent(`tinker-cli-${io.hostname}`)
  yield* io.err(`Create an API key: ${consoleUrl}/keys?new_key=true&key_name=${name}\nPaste it here: `)
  const key = ((yield* io.readSecret) ?? "").trim()
  yield* io.err("\n")
  if (key === "") return yield* new CliError({ title: "The API key must not be empty" })
  yield* io.redact(key)
  return Redacted.make(key)
})

/** @internal */
export const login = (options: Global) =>
  Effect.gen(function* () {
    const stored = yield* credentialsFile.read
    if (CredentialsFile.defaultKey(stored) !== undefined) {
      return yield* new CliError({ title: "Already logged in", details: "Run 'tinker auth logout' first" })
    }
    const key = yield* promptForKey
    const found = yield* withKey(key, (rest) => rest.getApiKey).pipe(
      Effect.mapError(
        (cause) => new CliError({ title: "Could not validate the API key", details: describe(cause), cause })
      )
    )
    const { details, key_id, note } = found
    const id = String(key_id)
    yield* credentialsFile.write({
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

/** Deletes a key on the server. `name` and `page` tell the user what to do if that fails. */
const deleteOnServer = (key: Redacted.Redacted, name: string, page: string) =>
  Effect.mapError(
    withKey(key, (rest) => rest.deleteApiKey),
    (cause) =>
      new CliError({
        title: "Could not delete the API key on the server",
        details: `The local credential '${name}' is removed; delete the key at ${page}: ${describe(cause)}`,
        cause
      })
  )

/** @internal */
export const logout = (options: Global) =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const stored = yield* credentialsFile.read
    const found = CredentialsFile.defaultKey(stored)
    if (found === undefined) {
      return yield* new CliError({
        title: "No default credential is stored",
        details: "There is nothing to log out from; 'tinker auth login' logs in"
      })
    }
    const { id, record } = found
    const name = typeof record["name"] === "string" ? record["name"] : id
    yield* io.redact(Redacted.value(record.key))
    const { [id]: _removed, ...keys } = stored.keys
    const { default: _default, ...others } = stored
    yield* credentialsFile.write({ ...others, keys })
    const page = `${consoleUrl}/keys/${encodeURIComponent(id)}`
    // a generated key was created for this machine only
    const isGenerated = record["type"] === "generated"
    if (isGenerated) yield* deleteOnServer(record.key, name, page)
    yield* output.text(options.format, {
      json: { key_id: id, name, deleted: isGenerated },
      text: isGenerated
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
