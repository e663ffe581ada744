/** Generates the ids of sessions and uploads. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const toHex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0")

const randomHex = (digits: number): Effect.Effect<string> =>
  Effect.map(Random.nextIntBetween(0, 16 ** digits), (value) => toHex(value, digits))

/** A UUID of version 7, which starts with the time. @internal */
export const uuid: Effect.Effect<string> = Effect.gen(function* () {
  const time = toHex(yield* Clock.currentTimeMillis, 12)
  const random = yield* randomHex(3)
  const variant = toHex(0x8000 + (yield* Random.nextIntBetween(0, 2 ** 14)), 4)
  const rest = `${yield* randomHex(6)}${yield* randomHex(6)}`
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random}-${variant}-${rest}`
})

/** The id of the n-th thing that is numbered from a time on: as long as a UUID, but not random. @internal */
export const numbered = (time: number, n: number): string => {
  const hex = toHex(time, 12)
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${toHex(n, 12)}`
}
