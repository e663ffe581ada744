import * as NodeContext from "@effect/platform-node/NodeContext"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { fetch } from "../../../src/internal/auth/credentialCommand.ts"

const run = (command: string) =>
  Effect.flatMap(CommandExecutor.CommandExecutor, (executor) =>
    fetch(executor, command)({ held: undefined, rejected: undefined })
  )

const failures: ReadonlyArray<[name: string, command: string, reason: string, exitCode: number | undefined]> = [
  ["a command that fails after it printed a key", "echo tml-secret; exit 1", "failed with exit 1", 1],
  ["a command that does not exist", "no-such-command-secret", "exit 127: no such command", 127],
  ["a file that cannot be executed", "/dev/null", "exit 126: the command cannot be executed", 126],
  ["a shell that a signal ended", "echo tml-secret; kill -KILL $$", "was ended by SIGKILL", undefined],
  ["a child that a signal ended", "sh -c 'kill -TERM $$'; exit $?", "exit 143: ended by SIGTERM", 143],
  ["no output", "true tml-secret", "printed nothing", undefined],
  ["two keys", "echo tml-secret; echo tml-secret", "printed two lines", undefined],
  ["a warning before the key", "echo a-secret; echo; echo tml-secret", "printed 3 lines", undefined],
  ["a character that no header holds", "printf 'tml-s\\303\\251cret-secret'", "a header cannot hold", undefined],
  ["a space in the key", "echo tml-secret secret", "a header cannot hold", undefined],
  ["another service's key", "echo sk-secret", "printed no key of this service", undefined],
  ["endless output", "yes tml-secret", "more than 64 KiB", undefined]
]

describe("TINKER_CREDENTIAL_CMD", () => {
  it.live.each(failures)(
    "fails with a retryable error that names the reason and shows no text of the command: %s",
    ([, command, reason, code]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(run(command))
        assert.strictEqual(error._tag, "CredentialCommandFailed")
        assert.isTrue(error.isRetryable)
        assert.match(error.message, new RegExp(reason))
        assert.include(error.message, "TINKER_CREDENTIAL_CMD")
        assert.strictEqual(error.exitCode, code)
        assert.notInclude(JSON.stringify(error) + String(error) + error.message, "secret")
      }).pipe(Effect.provide(NodeContext.layer))
  )

  it.live("may print blanks around the credential, and other text to standard error", () =>
    Effect.gen(function* () {
      const { value } = yield* run("echo noise >/dev/null; printf '\\n tml-key \\r\\n'")
      assert.strictEqual(Redacted.value(value), "tml-key")
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.live("is killed when it is interrupted and ignores SIGTERM", () =>
    Effect.gen(function* () {
      const start = Date.now()
      const exit = yield* run("trap '' TERM; sleep 30 & wait; sleep 30").pipe(Effect.timeout("300 millis"), Effect.exit)
      assert.strictEqual(exit._tag, "Failure")
      assert.isBelow(Date.now() - start, 10_000)
    }).pipe(Effect.provide(NodeContext.layer))
  )
})
