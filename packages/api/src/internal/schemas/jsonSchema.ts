/** What JSON Schemas say of values that are checked by code. */
import * as JSONSchema from "effect/JSONSchema"
import type * as Schema from "effect/Schema"

/** A JSON Schema without definitions of its own, for use inside of another. */
const inlined = ({ $defs = {}, $schema: _, ...root }: JSONSchema.JsonSchema7Root): object => {
  const inline = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(inline)
    if (typeof node !== "object" || node === null) return node
    const reference = (node as { readonly $ref?: unknown }).$ref
    if (typeof reference === "string") return inline($defs[reference.replace("#/$defs/", "")])
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, inline(value)]))
  }
  return inline(root) as object
}

/** The annotation `jsonSchema` of what is one of these schemas. It is computed when a JSON Schema is made of it. @internal */
export const oneOf = (...schemas: ReadonlyArray<Schema.Schema.All>): object => ({
  get anyOf() {
    return schemas.map((schema) => inlined(JSONSchema.make(schema as Schema.Schema.AnyNoContext)))
  }
})

/** The annotation of any JSON value. @internal */
export const anything: object = { description: "any JSON value" }
