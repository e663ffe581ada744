import * as Redacted from "effect/Redacted"

/** Compares in a time that depends on the length of `given` alone. */
const equal = (expected: Uint8Array, given: Uint8Array): boolean => {
  let difference = expected.length ^ given.length
  for (let i = 0; i < given.length; i++) difference |= (expected[i % expected.length] ?? 0) ^ given[i]!
  return difference === 0
}

/** Whether a key is one of those that are allowed; all of them are compared. @internal */
export const isAllowed = (keys: ReadonlyArray<Redacted.Redacted<string>>, given: string | undefined): boolean => {
  const encoder = new TextEncoder()
  const bytes = encoder.encode(given ?? "")
  let allowed = false
  for (const key of keys) {
    const expected = encoder.encode(Redacted.value(key))
    allowed = (expected.length > 0 && equal(expected, bytes)) || allowed
  }
  return allowed
}
