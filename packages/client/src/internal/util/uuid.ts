/** UUIDs from Effect's Random. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** Version 4. @internal */
export const uuid: Effect.Effect<string> = Effect.gen(function* () {
  let hex = ""
  for (let i = 0; i < 4; i++) {
    hex += (yield* Random.nextIntBetween(0, 2 ** 32)).toString(16).padStart(8, "0")
  }
  const variant = "89ab"[Number.parseInt(hex[16]!, 16) & 3]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
})
