import { assert } from "@effect/vitest"
import * as DateTime from "effect/DateTime"

const isTyped = (u: unknown): u is ArrayLike<number | bigint> => ArrayBuffer.isView(u) && !(u instanceof DataView)

/** Values without what JSON cannot say: the sign of zero, and keys that hold `undefined`. */
export const normal = (u: unknown): unknown => {
  if (typeof u === "number") return u === 0 ? 0 : u
  if (DateTime.isDateTime(u)) return `time ${DateTime.toEpochMillis(u)}`
  if (isTyped(u)) return [u.constructor === Object ? "" : u.constructor.name, ...Array.from(u, normal)]
  if (Array.isArray(u)) return u.map(normal)
  if (typeof u !== "object" || u === null) return u
  return Object.fromEntries(
    Object.entries(u)
      // a schema of records drops this one name
      .filter(([key, value]) => value !== undefined && key !== "__proto__")
      .map(([key, value]) => [key, normal(value)])
      .sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1))
  )
}

/** Fails unless both are the same value, `NaN` included. */
export const same = (actual: unknown, expected: unknown): void =>
  assert.deepStrictEqual(normal(actual), normal(expected))
