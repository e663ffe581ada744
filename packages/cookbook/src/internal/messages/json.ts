/** JSON values inside messages, which may come from a parser that keeps numbers as they were written. */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Schema from "effect/Schema"

const isObject = (u: unknown): u is { readonly [key: string]: unknown } => {
  if (typeof u !== "object" || u === null) return false
  const prototype: unknown = Object.getPrototypeOf(u)
  return prototype === Object.prototype || prototype === null
}

/** An object that passes through as it is: by reference, with its keys in order. @internal */
export const JsonObject = Schema.declare(isObject, { identifier: "object", description: "an object" })

/** The number, in whichever form it was read; other values are returned as they are. */
const toNumber = (u: unknown): unknown => (typeof u === "bigint" ? Number(u) : (Json.toNumber(u) ?? u))

/** @internal */
export const NumberFromJson = Schema.transform(Schema.Unknown, Schema.Unknown, {
  strict: true,
  decode: toNumber,
  encode: (u) => u
})
