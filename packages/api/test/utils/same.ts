/** Compares decoded values: `NaN` equals `NaN`, 0 equals -0, and an absent key equals `undefined`. */
import { assert } from "@effect/vitest"
import * as DateTime from "effect/DateTime"

const isTyped = (u: unknown): u is ArrayLike<number | bigint> => ArrayBuffer.isView(u) && !(u instanceof DataView)

/** The value without what JSON cannot represent: the sign of zero, and keys with the value `undefined`. */
const normal = (u: unknown): unknown => {
  if (typeof u === "number") return u === 0 ? 0 : u
  if (DateTime.isDateTime(u)) return `time ${DateTime.toEpochMillis(u)}`
  if (isTyped(u)) return [u.constructor === Object ? "" : u.constructor.name, ...Array.from(u, normal)]
  if (Array.isArray(u)) return u.map(normal)
  if (typeof u !== "object" || u === null) return u
  return Object.fromEntries(
    Object.entries(u)
      // `Schema.Record` drops this name.
      .filter(([key, value]) => value !== undefined && key !== "__proto__")
      .map(([key, value]) => [key, normal(value)])
      .sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1))
  )
}

/** Fails unless both are the same value. */
export const same = (actual: unknown, expected: unknown): void =>
  assert.deepStrictEqual(normal(actual), normal(expected))
