/** Credentials from an option, a command or a file, and their validation. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { makeSemaphore } from "../effect/runtime.ts"
import * as jwt from "./jwt.ts"

/** @internal */
export const invalid = (path: string, reason: string) =>
  new TinkerError.InvalidInput({ method: "Credentials", path, reason })

/** The trimmed credential, if it looks like one. No error shows its text. @internal */
export const check = (
  path: string,
  credential: Redacted.Redacted
): Effect.Effect<Redacted.Redacted, TinkerError.InvalidInput> => {
  const key = Redacted.value(credential).trim()
  if (key === "") return invalid(path, "is empty: set TINKER_API_KEY")
  if (!/^[\x21-\x7e]+$/.test(key)) {
    return invalid(path, "has a character that a header cannot hold: set TINKER_API_KEY again")
  }
  if (!key.startsWith("tml-") && !jwt.isToken(key)) {
    return invalid(path, 'is not a key of this service: keys start with "tml-", tokens with "eyJ"')
  }
  return Effect.succeed(Redacted.make(key))
}

/** Fails for a token that has expired. @internal */
export const notExpired = (
  path: string,
  credential: Redacted.Redacted
): Effect.Effect<Redacted.Redacted, TinkerError.InvalidInput> => {
  const expiry = jwt.expiresAt(Redacted.value(credential))
  return expiry === Number.POSITIVE_INFINITY
    ? Effect.succeed(credential)
    : Effect.flatMap(Clock.currentTimeMillis, (now) =>
        now < expiry
          ? Effect.succeed(credential)
          : invalid(path, "is an expired token: give a new one, or a TINKER_CREDENTIAL_CMD that prints one")
      )
}

// how long a plain key that a command printed is cached
const cacheMillis = Duration.toMillis("5 minutes")
const commandTimeout = Duration.seconds(60)

/** Runs a command for a credential, which is cached. @internal */
export const commandCredential = Effect.fnUntraced(function* (command: string) {
  const path = "TINKER_CREDENTIAL_CMD"
  const executor = yield* Effect.serviceOption(CommandExecutor.CommandExecutor)
  if (Option.isNone(executor)) {
    return yield* invalid(path, "needs a CommandExecutor: provide the platform's, such as NodeContext.layer")
  }
  const run = Command.make(command)
    .pipe(Command.runInShell(true), Command.stderr("inherit"), Command.string)
    .pipe(
      Effect.provideService(CommandExecutor.CommandExecutor, executor.value),
      Effect.mapError((error) => invalid(path, `could not be run: ${error.message}`)),
      Effect.timeoutFail({ duration: commandTimeout, onTimeout: () => invalid(path, "did not end within 60 seconds") }),
      Effect.flatMap((output) =>
        output.trim() === ""
          ? invalid(path, "printed nothing: it must print a credential")
          : check(path, Redacted.make(output))
      ),
      Effect.flatMap((credential) => notExpired(path, credential))
    )
  const lock = yield* makeSemaphore(1)
  let held: { readonly credential: Redacted.Redacted; readonly until: number } | undefined
  return (fresh: boolean) =>
    Effect.suspend(() => {
      const asked = held
      return lock.withPermits(1)(
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          // another caller may have fetched it while this one waited for the lock
          if (held !== undefined && now < held.until && !(fresh && held === asked)) return held.credential
          const credential = yield* run
          const expiry = jwt.expiresAt(Redacted.value(credential))
          held = { credential, until: Number.isFinite(expiry) ? expiry - 60_000 : now + cacheMillis }
          return credential
        })
      )
    })
})

const Stored = Schema.parseJson(
  Schema.Struct({
    default: Schema.optionalWith(Schema.String, { nullable: true }),
    keys: Schema.optionalWith(
      Schema.Record({ key: Schema.String, value: Schema.Struct({ key: Schema.Redacted(Schema.String) }) }),
      { default: () => ({}) }
    )
  })
)
const readStored = Schema.decodeUnknown(Stored)

/** The default key of a file, if there is one. A file that cannot be read is an error that names it. @internal */
export const storedKey = Effect.fnUntraced(function* (file: string) {
  const fs = yield* Effect.serviceOption(FileSystem.FileSystem)
  if (Option.isNone(fs)) return undefined
  const text = yield* fs.value
    .readFileString(file)
    .pipe(
      Effect.catchAll((error) =>
        error._tag === "SystemError" && error.reason === "NotFound"
          ? Effect.succeed(undefined)
          : invalid(file, `cannot be read: ${error.message}`)
      )
    )
  if (text === undefined) return undefined
  const stored = yield* Effect.orElseFail(readStored(text), () =>
    // without the cause, which might show a key
    invalid(file, "has no valid keys: sign in again, or set TINKER_API_KEY")
  )
  const found = stored.default === undefined ? undefined : stored.keys[stored.default]
  return found === undefined ? undefined : yield* check(file, found.key)
})
