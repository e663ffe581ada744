/**
 * Where the key comes from. The sources, in this order: a given key (an option, or `TINKER_API_KEY`), the output of a
 * command (`TINKER_CREDENTIAL_CMD`), the default key that `tinker auth login` stored in `~/.tinker/credentials.json`.
 *
 * A credential is a key (`tml-…`) or a token (`eyJ…`), and is always `Redacted`. To take credentials from elsewhere, such
 * as a vault, implement `Credentials` and give it to `TinkerConfig`.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { check, commandCredential, invalid, notExpired, storedKey } from "./internal/auth/credentialSources.ts"
import * as jwt from "./internal/auth/jwt.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Credentials {
  /** The credential for the next request. */
  readonly get: (request: Request) => Effect.Effect<Redacted.Redacted, TinkerError.InvalidInput>
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
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Sources {
  readonly apiKey?: Redacted.Redacted | undefined
  /** a shell command that prints the credential */
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
    const given = key === undefined ? undefined : notExpired("apiKey", key)
    return {
      get: ({ commandFirst, fresh }) =>
        given === undefined || (commandFirst && command !== undefined && !jwt.isToken(Redacted.value(key!)))
          ? command!(fresh)
          : given
    }
  })
