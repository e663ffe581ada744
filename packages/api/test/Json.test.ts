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
})
