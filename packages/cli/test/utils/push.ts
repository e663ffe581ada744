/** Runs `tinker checkpoint push-hf` against a hub of the tests. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, trained } from "./command.ts"
import { token } from "./hub.ts"
import { Service } from "./service.ts"
import { type Options, type Result, run, start } from "./tinker.ts"

const argsOf = (args: ReadonlyArray<string>) => ["-f", "json", "checkpoint", "push-hf", ...args]

const optionsOf = (hub: { readonly url: string }, env: Options["env"]) =>
  Effect.map(Service, (service) => ({ env: { ...service.env, HF_ENDPOINT: hub.url, HF_TOKEN: token, ...env } }))

/** The path of a checkpoint of a new run. */
export const checkpoint = Effect.map(trained(), (id) => `tinker://${id}/weights/first`)

/** Runs the command to its end. */
export const push = (hub: { readonly url: string }, args: ReadonlyArray<string>, env: Options["env"] = {}) =>
  Effect.flatMap(optionsOf(hub, env), (options) => run(argsOf(args), options))

/** Starts the command. */
export const startPush = (hub: { readonly url: string }, args: ReadonlyArray<string>, env: Options["env"] = {}) =>
  Effect.flatMap(optionsOf(hub, env), (options) => start(argsOf(args), options))

/** Asserts that a command failed, without the token in its message. */
export const failedWithoutToken = (result: Result, message: RegExp | string, code = 1): void => {
  assert.notInclude(result.stderr, token)
  failed(result, message, code)
}

/** What a push that succeeded printed. */
export const pushed = ({ code, stderr, stdout }: Result) => {
  assert.strictEqual(stderr, "")
  assert.strictEqual(code, 0)
  return JSON.parse(stdout)
}
