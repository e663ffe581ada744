/** Where credentials come from: the output of a command, and the file of stored keys. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { check, invalid } from "./credential.ts"
import * as credentialCommand from "./credentialCommand.ts"
import * as readStoredKeys from "./readStoredKeys.ts"
import { Renewal } from "./renewal.ts"
import { defaultKey } from "./storedKeys.ts"

interface Replacement {
  readonly fresh: boolean
  readonly rejected?: Redacted.Redacted | undefined
}

const getFrom =
  (renewal: Renewal) =>
  ({ fresh, rejected }: Replacement): Effect.Effect<Redacted.Redacted, TinkerError.TinkerError> =>
    fresh
      ? Effect.suspend(() => {
          const replaced = rejected ?? renewal.held?.value
          return replaced === undefined ? renewal.get : renewal.replace(replaced)
        })
      : renewal.get

/** The credential of a command, held and renewed. A run ends with the scope, where there is one. @internal */
export const commandCredential = Effect.fnUntraced(function* (command: string) {
  const executor = yield* Effect.serviceOption(CommandExecutor.CommandExecutor)
  if (Option.isNone(executor)) {
    return yield* invalid(
      credentialCommand.commandPath,
      "needs a CommandExecutor: provide the platform's, such as NodeContext.layer"
    )
  }
  const renewal = new Renewal({
    name: `the credential of ${credentialCommand.commandPath}`,
    fetch: credentialCommand.fetch(executor.value, command)
  })
  const scope = yield* Effect.serviceOption(Scope.Scope)
  if (Option.isSome(scope)) yield* Scope.addFinalizer(scope.value, renewal.interrupt)
  return getFrom(renewal)
})

/** The default key of a file, if there is one. A file that cannot be read is an error that names it. @internal */
export const storedKey = Effect.fnUntraced(function* (file: string) {
  const fs = yield* Effect.serviceOption(FileSystem.FileSystem)
  if (Option.isNone(fs)) return undefined
  const keys = yield* Effect.provideService(readStoredKeys.read(file), FileSystem.FileSystem, fs.value)
  const found = defaultKey(keys)
  return found === undefined ? undefined : yield* check(file, found.record.key)
})
