import * as NodeContext from "@effect/platform-node/NodeContext"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import { assert, describe, it } from "@effect/vitest"
import * as PlatformError from "@effect/platform/Error"
import { Effect, Fiber, Redacted, TestClock } from "effect"
import { withWarnings } from "@effect-tinker/testing/Logs"
import { fetch } from "../../../src/internal/auth/credentialCommand.ts"
import type { Known } from "../../../src/internal/auth/renewal.ts"
import * as commands from "../../utils/commands.ts"

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

const nothing: Known = { held: undefined, rejected: undefined }

/** The credential of a command that runs no process. */
const credentialOf = (run: commands.Run, known = nothing) =>
  Effect.gen(function* () {
    const { layer } = yield* commands.make(() => Effect.succeed(run))
    const executor = yield* Effect.provide(CommandExecutor.CommandExecutor, layer)
    return Redacted.value((yield* fetch(executor, "any")(known)).value)
  })

const reasonOf = (run: commands.Run, known = nothing) =>
  Effect.map(Effect.flip(credentialOf(run, known)), ({ method, reason }) => {
    assert.strictEqual(method, "Credentials")
    return reason
  })

describe("what a command did", () => {
  it.effect.each([
    [9009, "exit 9009: no such command"],
    [128, "exit 128"],
    [129, "exit 129: ended by SIGHUP"],
    [162, "exit 162: ended by signal 34"],
    [192, "exit 192: ended by signal 64"],
    [193, "exit 193"]
  ] as const)("is said by its exit code: %s", ([exitCode, text]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf({ exitCode }), `failed with ${text}`)
    })
  )

  it.effect("is said without the command where it could not be run", () =>
    Effect.gen(function* () {
      const errors = [
        new PlatformError.SystemError({
          reason: "PermissionDenied",
          module: "Command",
          method: "spawn",
          description: "secret"
        }),
        new PlatformError.BadArgument({ module: "Command", method: "spawn", description: "secret" })
      ]
      const reasons = yield* Effect.forEach(errors, (error) => {
        const executor = CommandExecutor.makeExecutor(() => Effect.fail(error))
        return Effect.map(Effect.flip(fetch(executor, "any")(nothing)), ({ reason }) => reason)
      })
      assert.deepStrictEqual(reasons, ["could not be run: PermissionDenied", "could not be run: BadArgument"])
    })
  )

  it.effect("may be 64 KiB of output, in a minute", () =>
    Effect.gen(function* () {
      const longest = `tml-${"a".repeat(64 * 1024 - 4)}`
      assert.strictEqual(yield* credentialOf({ output: longest }), longest)
      assert.include(yield* reasonOf({ output: `${longest}a` }), "printed more than 64 KiB")
      const { layer } = yield* commands.make(() => Effect.never)
      const executor = yield* Effect.provide(CommandExecutor.CommandExecutor, layer)
      const waiting = yield* Effect.fork(Effect.flip(fetch(executor, "any")(nothing)))
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "did not end within 60 seconds")
    })
  )
})

describe("a token that a command printed after its expiry by the clock", () => {
  const day = 86_400
  const now = 30 * day
  const between = (iat: number, exp: number) => commands.token({ iat: now + iat, exp: now + exp })
  const held = (exp: number): Known => ({
    held: { value: Redacted.make(between(-100, exp)), renewAt: 0, expiresAt: 0 },
    rejected: undefined
  })

  it.effect("is used where the clock may be wrong, with a warning", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(now * 1000)
      for (const exp of [-60, 0, 1 - day]) {
        const output = between(exp - 60, exp)
        const { lines, value } = yield* withWarnings(credentialOf({ output }))
        assert.strictEqual(value, output)
        assert.deepStrictEqual(lines, [
          "TINKER_CREDENTIAL_CMD printed a token that has expired by this machine's clock. The service decides whether it " +
            "has; if it has not, set the clock."
        ])
      }
      assert.deepStrictEqual((yield* withWarnings(credentialOf({ output: between(-60, 1) }))).lines, [])
    })
  )

  it.effect("is refused after a day, without a time of issue, and where the clock is right", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(now * 1000)
      const output = between(-120, -60)
      assert.strictEqual(yield* reasonOf({ output: between(-day - 60, -day) }), "printed an expired token")
      assert.strictEqual(yield* reasonOf({ output: commands.token({ exp: now - 60 }) }), "printed an expired token")
      assert.strictEqual(yield* reasonOf({ output }, held(1)), "printed an expired token")
      for (const exp of [0, -1]) {
        assert.strictEqual((yield* withWarnings(credentialOf({ output }, held(exp)))).value, output)
      }
    })
  )

  it.effect("is refused once the service has rejected it", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(now * 1000)
      const output = between(-120, -60)
      const rejected = (text: string): Known => ({ held: undefined, rejected: Redacted.make(text) })
      assert.strictEqual(yield* reasonOf({ output }, rejected(output)), "printed an expired token again")
      const { value } = yield* withWarnings(credentialOf({ output }, rejected("another")))
      assert.strictEqual(value, output)
    })
  )
})
