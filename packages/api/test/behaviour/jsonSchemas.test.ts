import { assert, describe, it } from "@effect/vitest"
import * as Api from "@effect-tinker/api"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"

/** Every schema that a public module exports, by its qualified name. */
const schemas = Object.entries(Api).flatMap(([module, members]) =>
  Object.entries(members as Record<string, unknown>)
    .filter((member): member is [string, Schema.Schema<unknown>] => Schema.isSchema(member[1]))
    .map(([name, schema]) => [`${module}.${name}`, schema] as const)
)

/** The paths in a JSON Schema that say nothing of their values. */
const silent = (node: unknown, path: string): ReadonlyArray<string> => {
  if (typeof node !== "object" || node === null) return []
  const { $id: _id, title: _title, ...rest } = node as { readonly $id?: unknown; readonly title?: unknown }
  const saysNothing = !Array.isArray(node) && Object.keys(rest).length === 0
  return [
    ...(saysNothing && !/\.(properties|\$defs)$/.test(path) ? [path] : []),
    ...Object.entries(rest).flatMap(([key, value]) => silent(value, `${path}.${key}`))
  ]
}

describe("the JSON Schema", () => {
  it.each(schemas)("says what each value is: %s", (_name, schema) => {
    const { $schema: _, ...found } = JSONSchema.make(schema as Schema.Schema.AnyNoContext)
    // the cause of an error may be anything
    assert.deepStrictEqual(
      silent(found, "").filter((path) => path !== ".$defs.Defect"),
      []
    )
  })
})
