/** The format of a response: the JSON schema that it must match, of which only what can be enforced is taken. */
import type * as OpenAi from "@effect-tinker/api/OpenAi"
import * as Effect from "effect/Effect"
import { invalid, type OpenAiError } from "./errors.ts"

const maxLength = 2 ** 16
const maxDepth = 32

/** What a schema may say: notes, and what the grammar of the engine enforces. */
const keywords = new Set(
  (
    "$schema $id $comment title description default examples deprecated type properties required additionalProperties " +
    "items prefixItems enum const anyOf $ref $defs definitions minItems maxItems minLength maxLength pattern minimum maximum"
  ).split(" ")
)

const types = new Set(["object", "array", "string", "number", "integer", "boolean", "null"])

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

type Problem = { readonly path: string; readonly reason: string } | undefined

const firstOf = (values: Iterable<unknown>, path: (key: number) => string, depth: number): Problem => {
  let key = 0
  for (const value of values) {
    const problem = problemOf(value, path(key++), depth)
    if (problem !== undefined) return problem
  }
  return undefined
}

const named = (schemas: unknown, path: string, depth: number): Problem => {
  if (schemas === undefined) return undefined
  if (!isRecord(schemas)) return { path, reason: "is not an object of schemas" }
  const names = Object.keys(schemas)
  return firstOf(Object.values(schemas), (i) => `${path}.${names[i]!.slice(0, 64)}`, depth)
}

const listed = (schemas: unknown, path: string, depth: number): Problem => {
  if (schemas === undefined) return undefined
  return Array.isArray(schemas)
    ? firstOf(schemas, (i) => `${path}[${i}]`, depth)
    : { path, reason: "is not a list of schemas" }
}

/** What of a schema cannot be enforced. */
const problemOf = (schema: unknown, path: string, depth = 0): Problem => {
  if (typeof schema === "boolean") return undefined
  if (!isRecord(schema)) return { path, reason: "is not a schema" }
  if (depth > maxDepth) return { path, reason: `is deeper than ${maxDepth} schemas` }
  const unknown = Object.keys(schema).find((key) => !keywords.has(key))
  if (unknown !== undefined) return { path: `${path}.${unknown.slice(0, 64)}`, reason: "cannot be enforced" }
  const { type } = schema
  if (type !== undefined && (Array.isArray(type) ? type : [type]).some((one) => !types.has(one as string))) {
    return { path: `${path}.type`, reason: "is not a type of JSON" }
  }
  const one = (key: string) =>
    schema[key] === undefined ? undefined : problemOf(schema[key], `${path}.${key}`, depth + 1)
  return (
    named(schema["properties"], `${path}.properties`, depth + 1) ??
    named(schema["$defs"], `${path}.$defs`, depth + 1) ??
    named(schema["definitions"], `${path}.definitions`, depth + 1) ??
    listed(schema["anyOf"], `${path}.anyOf`, depth + 1) ??
    listed(schema["prefixItems"], `${path}.prefixItems`, depth + 1) ??
    one("items") ??
    one("additionalProperties")
  )
}

const anyObject = '{"type":"object"}'

/** The schema of a response as text; undefined if it is plain text. @internal */
export const schemaOf = ({
  response_format: format
}: OpenAi.ChatRequest): Effect.Effect<string | undefined, OpenAiError> => {
  if (format === undefined) return Effect.succeed(undefined)
  const refuse = (path: string, reason: string) => invalid(path, `${path}: ${reason}`)
  if (!isRecord(format)) return refuse("response_format", "is not an object")
  if (format["type"] === "text") return Effect.succeed(undefined)
  if (format["type"] === "json_object") return Effect.succeed(anyObject)
  if (format["type"] !== "json_schema") return refuse("response_format.type", "is not text, json_object or json_schema")
  const given = format["json_schema"]
  const path = "response_format.json_schema.schema"
  const schema = isRecord(given) ? given["schema"] : undefined
  const text = JSON.stringify(schema) ?? ""
  if (text.length > maxLength)
    return refuse(path, `has ${text.length} characters, but at most ${maxLength} are allowed`)
  const problem = problemOf(schema, path)
  return problem === undefined ? Effect.succeed(text) : refuse(problem.path, problem.reason)
}
