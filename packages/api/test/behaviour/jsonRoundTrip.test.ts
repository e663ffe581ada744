import { describe, it } from "@effect/vitest"
import * as Api from "@effect-tinker/api"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as FastCheck from "fast-check"
import { same } from "../utils/same.ts"

/** Every schema that a public module exports, by its qualified name. */
const schemas = Object.entries(Api).flatMap(([module, members]) =>
  Object.entries(members as Record<string, unknown>)
    .filter((member): member is [string, Schema.Schema<unknown>] => Schema.isSchema(member[1]))
    // Errors are not sent, and `RetrieveFutureResponse` accepts any value.
    .filter(([name]) => module !== "TinkerError" && !/Error$|FromSelf$|^RetrieveFutureResponse$/.test(name))
    .map(([name, schema]) => [`${module}.${name}`, schema] as const)
)

/** The value with one of its parts replaced by another value. `at` selects the part. */
const corrupt = (value: unknown, other: unknown, at: number): unknown => {
  if (typeof value !== "object" || value === null) return other
  const keys = Object.keys(value)
  if (keys.length === 0 || at % (keys.length + 1) === keys.length) return other
  const key = keys[at % (keys.length + 1)]!
  const part = corrupt((value as Record<string, unknown>)[key], other, Math.floor(at / (keys.length + 1)))
  return Array.isArray(value) ? Object.assign([...value], { [key]: part }) : { ...value, [key]: part }
}

describe("JSON bodies", () => {
  it.each(schemas)("decode to the value that was encoded: %s", (_name, schema) => {
    const encode = Schema.encodeUnknownSync(schema)
    const decode = Schema.decodeUnknownSync(schema)
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(schema), (value) => {
        const text = JSON.stringify(encode(value))
        same(text === undefined ? undefined : decode(JSON.parse(text)), value)
      }),
      { numRuns: 50 }
    )
  })

  it.each(schemas)("never throw on another value or on a corrupted one: %s", (_name, schema) => {
    const decode = Schema.decodeUnknownEither(schema)
    const encode = Schema.encodeUnknownSync(schema)
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(schema), FastCheck.jsonValue(), FastCheck.nat(), (value, other, at) => {
        // A left is a ParseError; anything thrown fails the property.
        decode(other)
        const text = JSON.stringify(encode(value))
        if (text !== undefined) decode(corrupt(JSON.parse(text), other, at))
      }),
      { numRuns: 25 }
    )
    // Tags that cannot be converted to a string, or are nested too deeply for it.
    const deep = JSON.parse("[".repeat(20_000) + "]".repeat(20_000))
    for (const tag of [{ toString: "" }, [{ toString: "" }], deep]) decode({ type: tag, event: tag })
  })
})
