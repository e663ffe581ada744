/** Compares keys in constant time, and signs with a secret that is derived from the API keys. */
import type * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { makeSign, type Sign, utf8 } from "../util/sha256.ts"

/** @internal */
export type Keys = ReadonlyArray<Redacted.Redacted<string>>

/** Compares in a time that depends only on the length of `given`. */
const equals = (expected: Uint8Array, given: Uint8Array): boolean => {
  let difference = expected.length ^ given.length
  for (let i = 0; i < given.length; i++) difference |= (expected[i % expected.length] ?? 0) ^ given[i]!
  return difference === 0
}

/** The index of a key, or -1. All keys are compared. @internal */
export const indexOf = (keys: Keys, given: string | undefined): number => {
  const bytes = utf8(given ?? "")
  let found = -1
  for (const [index, key] of keys.entries()) {
    const expected = utf8(Redacted.value(key))
    if (expected.length > 0 && equals(expected, bytes)) found = index
  }
  return found
}

/** Whether two secrets are equal; an empty one equals none. @internal */
export const matches = (expected: string, given: string): boolean => indexOf([Redacted.make(expected)], given) >= 0

/** Signs for one purpose: a signature is not valid for another purpose or with other keys. @internal */
export const makeKeySign = (keys: Keys, purpose: string): Effect.Effect<Sign> =>
  makeSign([`effect-tinker ${purpose}`, ...keys.map(Redacted.value)].join("\n"))
