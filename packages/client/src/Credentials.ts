/**
 * Where the key comes from. The sources, in this order: a given key (an option, or `TINKER_API_KEY`), the output of a
 * command (`TINKER_CREDENTIAL_CMD`), the default key that `tinker auth login` stored in `~/.tinker/credentials.json`
 * (`CredentialsFile`).
 *
 * A credential is a key (`tml-…`) or a token (`eyJ…`), and is always `Redacted`. It must be one line of visible ASCII;
 * any other text is rejected before it is put in a header. No error or log line shows the credential or the command.
 *
 * The rules for a command:
 *
 * - It must exit with 0 within a minute, and print one credential and nothing else. Otherwise the error is
 *   `CredentialCommandFailed`, which names the exit code and the reason, and is retryable.
 * - It runs when a credential is first needed. It runs again when a minute or half of a token's lifetime is left, whichever
 *   is less, every five minutes for a plain key, and when the service has rejected the credential.
 * - All requests share one run. Interrupting one of them does not interrupt the run.
 * - While the current credential is valid, no failure of the command fails a request. The failure is logged as a
 *   warning, and the command runs again with the next request after 1 s, then 2 s, up to a minute. A request waits at
 *   most 5 s for a better credential than a valid one.
 * - A wrong clock does no harm: where the clock contradicts a token's claims (`iat`, `exp`), the token is used for its
 *   whole lifetime, and the service decides. A given token that has expired by the clock is rejected.
 *
 * The same rules hold for the access tokens that a service may exchange credentials for.
 *
 * To take credentials from elsewhere, such as a vault, implement `Credentials` and give it to `TinkerConfig`.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { check, invalid, unexpired } from "./internal/auth/credential.ts"
import { commandCredential, storedKey } from "./internal/auth/credentialSources.ts"
import * as jwt from "./internal/auth/jwt.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Credentials {
  /** The credential for the next request. A retryable error is retried under the request's `RetryPolicy`. */
  readonly get: (request: Request) => Effect.Effect<Redacted.Redacted, TinkerError.TinkerError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Request {
  /** the service prefers the command's credential to a plain key (`credential_default_source`) */
  readonly commandFirst: boolean
  /** the last credential was rejected: get another one, if there can be one */
  readonly fresh: boolean
  /** with `fresh`, the one that was rejected; if it has been replaced since, the new one is used */
  readonly rejected?: Redacted.Redacted | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Sources {
  readonly apiKey?: Redacted.Redacted | undefined
  /** a shell command that prints the credential and exits with 0 */
  readonly command?: string | undefined
  /** the path of a file with stored keys */
  readonly file?: string | undefined
}

const missing = "is missing: set TINKER_API_KEY or TINKER_CREDENTIAL_CMD, or give `apiKey` to the layer"

/**
 * Credentials from the given sources. It fails if there is none, and for an invalid key. A command needs a
 * `CommandExecutor`, a file a `FileSystem`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (sources: Sources): Effect.Effect<Credentials, TinkerError.InvalidInput> =>
  Effect.gen(function* () {
    const blank = sources.apiKey !== undefined && Redacted.value(sources.apiKey).trim() === ""
    const command = sources.command === undefined ? undefined : yield* commandCredential(sources.command)
    const key =
      sources.apiKey !== undefined && !(blank && command !== undefined)
        ? yield* check("apiKey", sources.apiKey)
        : command === undefined && sources.file !== undefined
          ? yield* storedKey(sources.file)
          : undefined
    if (key === undefined && command === undefined) return yield* invalid("apiKey", missing)
    const given = key === undefined ? undefined : unexpired("apiKey", key)
    return {
      get: (request) =>
        given === undefined || (request.commandFirst && command !== undefined && !jwt.isToken(Redacted.value(key!)))
          ? command!(request)
          : given
    }
  })
