import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0")

/** A UUID (version 7): by time first, then by chance. @internal */
export const uuid: Effect.Effect<string> = Effect.gen(function* () {
  const time = hex(yield* Clock.currentTimeMillis, 12)
  const chance = hex(yield* Random.nextIntBetween(0, 2 ** 12), 3)
  const variant = hex(0x8000 + (yield* Random.nextIntBetween(0, 2 ** 14)), 4)
  const rest = hex(yield* Random.nextIntBetween(0, 2 ** 24), 6) + hex(yield* Random.nextIntBetween(0, 2 ** 24), 6)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${chance}-${variant}-${rest}`
})
