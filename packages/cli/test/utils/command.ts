/** Runs the command against the test service, and asserts what it prints. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Service } from "./service.ts"
import { type Options, type Result, run } from "./tinker.ts"

/** Runs the command with the environment of the test service. */
export const tinker = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.flatMap(Service, ({ env }) => run(args, { ...options, env: { ...env, ...options.env } }))

/** A training run with two checkpoints, by its id. */
export const trained = (metadata?: { readonly [name: string]: string }) =>
  Effect.flatMap(Service, ({ train }) => Effect.orDie(train(metadata)))

/** The standard output of a command that succeeded without a word on standard error. */
export const ok = ({ code, stderr, stdout }: Result): string => {
  assert.strictEqual(stderr, "")
  assert.strictEqual(code, 0)
  return stdout
}

/** The JSON document that a command printed. */
export const json = (result: Result) => JSON.parse(ok(result))

/** Asserts that a command failed with one line on standard error. */
export const failed = ({ code, stderr, stdout }: Result, message: RegExp | string, expected = 1): void => {
  assert.strictEqual(stdout, "")
  assert.match(stderr, /^Error: [^\n]+\n$/)
  if (typeof message === "string") assert.include(stderr, message)
  else assert.match(stderr, message)
  assert.strictEqual(code, expected)
}

/** A time as the Python command prints it. */
export const pythonTime = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{6})?\+00:00$/
