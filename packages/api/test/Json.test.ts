import { describe, it } from "@effect/vitest"
import * as Api from "@effect-tinker/api"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { same } from "./utils/same.ts"

/** Every schema that a module exports, under the name that it goes by. */
const schemas = Object.entries(Api).flatMap(([module, members]) =>
  Object.entries(members as Record<string, unknown>)
    .filter((member): member is [string, Schema.Schema<unknown>] => Schema.isSchema(member[1]))
    // errors are built from what went wrong, not sent; a result of any kind has no form of its own
    .filter(([name]) => module !== "TinkerError" && !/Error$|FromSelf$|^RetrieveFutureResponse$/.test(name))
    .map(([name, schema]) => [`${module}.${name}`, schema] as const)
)

/** The value with one of its parts replaced, at any depth. */
const broken = (value: unknown, other: unknown, at: number): unknown => {
  if (typeof value !== "object" || value === null) return other
  const keys = Object.keys(value)
  if (keys.length === 0 || at % (keys.length + 1) === keys.length) return other
  const key = keys[at % (keys.length + 1)]!
  const part = broken((value as Record<string, unknown>)[key], other, Math.floor(at / (keys.length + 1)))
  return Array.isArray(value) ? Object.assign([...value], { [key]: part }) : { ...value, [key]: part }
}

describe("JSON bodies", () => {
  it.each(schemas)("%s reads back what it writes", (_name, schema) => {
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

  it.each(schemas)("%s takes any other value, or a broken one of its own, without a throw", (_name, schema) => {
    const decode = Schema.decodeUnknownEither(schema)
    const encode = Schema.encodeUnknownSync(schema)
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(schema), FastCheck.jsonValue(), FastCheck.nat(), (value, other, at) => {
        // a left is a ParseError; anything that is thrown fails the property
        decode(other)
        const text = JSON.stringify(encode(value))
        if (text !== undefined) decode(broken(JSON.parse(text), other, at))
      }),
      { numRuns: 25 }
    )
    // what has no text of its own, and what is nested too deep to make one
    const deep = JSON.parse("[".repeat(20_000) + "]".repeat(20_000))
    for (const tag of [{ toString: "" }, [{ toString: "" }], deep]) decode({ type: tag, event: tag })
  })
})
