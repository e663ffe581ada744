/** Which JSON schemas samples can be kept to: those of which all that they say can be enforced. */

/** @internal */
export const maxLength = 2 ** 16

const maxDepth = 32

/** What a schema may say without a consequence for values. */
const notes = new Set("$schema $id $comment title description default examples deprecated $defs definitions".split(" "))

/** What a schema may say of values, by the type that it is about. */
const typeOfKeyword: { readonly [keyword: string]: string } = {
  properties: "object",
  required: "object",
  additionalProperties: "object",
  items: "array",
  prefixItems: "array",
  minItems: "array",
  maxItems: "array",
  minLength: "string",
  maxLength: "string",
  pattern: "string",
  minimum: "number",
  maximum: "number"
}

const keywords = new Set([...notes, ...Object.keys(typeOfKeyword), "type", "enum", "const", "anyOf", "$ref"])

const types = new Set(["object", "array", "string", "number", "integer", "boolean", "null"])

type Json = { readonly [key: string]: unknown }

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** What cannot be enforced: the path to it, and the reason. */
class SchemaProblem extends Error {
  readonly path: string
  readonly reason: string

  constructor(path: string, reason: string) {
    super(`${path} ${reason}`)
    this.path = path
    this.reason = reason
  }
}

interface Place {
  readonly root: unknown
  readonly path: string
  readonly depth: number
}

const inside = ({ depth, path, root }: Place, key: string): Place => ({
  root,
  path: `${path}${key.startsWith("[") ? key : `.${key.slice(0, 64)}`}`,
  depth: depth + 1
})

const fail = ({ path }: Place, key: string, reason: string): never => {
  throw new SchemaProblem(key === "" ? path : `${path}.${key.slice(0, 64)}`, reason)
}

const constraintsOf = (schema: Json): ReadonlyArray<string> => Object.keys(schema).filter((key) => !notes.has(key))

/** The schema that a reference names; undefined if it is not one of the definitions. */
const definition = (root: unknown, reference: unknown): Json | undefined => {
  const [, list, name] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(String(reference)) ?? []
  const found = isRecord(root) && list !== undefined ? (root[list] as Json | undefined)?.[name!] : undefined
  return isRecord(found) ? found : undefined
}

const tighter: { readonly [keyword: string]: (a: number, b: number) => number } = {
  minimum: Math.max,
  minLength: Math.max,
  minItems: Math.max,
  maximum: Math.min,
  maxLength: Math.min,
  maxItems: Math.min
}

/** What a reference names, with the constraints beside it, which grammars leave out. */
const merged = (schema: Json, place: Place): Json => {
  if (place.depth > maxDepth) return fail(place, "", `is deeper than ${maxDepth} schemas`)
  const named = definition(place.root, schema["$ref"])
  const beside = constraintsOf(schema).filter((key) => key !== "$ref")
  if (named === undefined) return fail(place, beside[0] ?? "$ref", "cannot be enforced beside this $ref")
  const target = "$ref" in named ? merged(named, inside(place, "$ref")) : named
  const { $ref: _, ...rest } = schema
  const both: { [key: string]: unknown } = { ...rest, ...target }
  for (const key of beside) {
    const [before, own] = [target[key], schema[key]]
    const tighten = tighter[key]
    if (before === undefined || JSON.stringify(before) === JSON.stringify(own)) both[key] = own
    else if (tighten !== undefined) both[key] = tighten(Number(before), Number(own))
    else fail(place, key, "cannot be enforced beside this $ref, which says it too")
  }
  return both
}

const typeOf = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return typeof value === "number" ? (Number.isInteger(value) ? "integer" : "number") : typeof value
}

/** Fails where grammars would leave a constraint out in silence. */
const checkTogether = (schema: Json, place: Place): void => {
  const constraints = constraintsOf(schema)
  const alone = ["anyOf", "const", "enum"].find((key) => key in schema)
  const other = constraints.find((key) => key !== alone && (key !== "type" || alone === "anyOf"))
  if (alone !== undefined && other !== undefined) fail(place, other, `cannot be enforced beside ${alone}`)
  const given: ReadonlyArray<unknown> = schema["type"] === undefined ? [] : [schema["type"]].flat()
  const values = alone === "enum" ? schema["enum"] : alone === "const" ? [schema["const"]] : []
  const isGiven = (type: string) => given.includes(type) || (type === "integer" && given.includes("number"))
  const wrong = Array.isArray(values) && given.length > 0 && values.find((value) => !isGiven(typeOf(value)))
  if (wrong !== false && wrong !== undefined) fail(place, alone!, "has a value of another type than it says")
  const untyped = given.length === 0 && constraints.find((key) => /^(?:min|max)|^pattern$/.test(key))
  if (typeof untyped === "string") fail(place, untyped, "cannot be enforced without a type")
  const length = ["minLength", "maxLength"].find((key) => key in schema)
  if (length !== undefined && "pattern" in schema) fail(place, length, "cannot be enforced beside pattern")
  const bound = ["maximum", "minimum"].find((key) => key in schema)
  const isSign = bound === "minimum" && schema["minimum"] === 0
  if (bound !== undefined && !isSign && given.includes("number")) fail(place, bound, "is enforced of integers alone")
  const required = Array.isArray(schema["required"]) ? schema["required"] : []
  const unnamed = required.findIndex((name) => !Object.hasOwn((schema["properties"] ?? {}) as object, name))
  if (unnamed >= 0) fail(place, `required[${unnamed}]`, "names what is not among the properties")
}

const enforceNamed = (schemas: unknown, place: Place): Json => {
  if (!isRecord(schemas)) return fail(place, "", "is not an object of schemas")
  return Object.fromEntries(Object.entries(schemas).map(([name, one]) => [name, enforceAt(one, inside(place, name))]))
}

const enforceListed = (schemas: unknown, place: Place): ReadonlyArray<unknown> =>
  Array.isArray(schemas)
    ? schemas.map((one, i) => enforceAt(one, inside(place, `[${i}]`)))
    : fail(place, "", "is not a list of schemas")

const parts: { readonly [keyword: string]: (value: unknown, place: Place) => unknown } = {
  properties: enforceNamed,
  $defs: enforceNamed,
  definitions: enforceNamed,
  anyOf: enforceListed,
  prefixItems: enforceListed,
  items: (value, place) => enforceAt(value, place),
  additionalProperties: (value, place) => enforceAt(value, place)
}

/** The schema in a form of which grammars enforce all. @throws SchemaProblem */
const enforceAt = (given: unknown, place: Place): unknown => {
  if (typeof given === "boolean") return given
  if (!isRecord(given)) return fail(place, "", "is not a schema")
  if (place.depth > maxDepth) return fail(place, "", `is deeper than ${maxDepth} schemas`)
  const unknown = Object.keys(given).find((key) => !keywords.has(key))
  if (unknown !== undefined) return fail(place, unknown, "cannot be enforced")
  // a reference alone may be recursive
  const schema = "$ref" in given && constraintsOf(given).length > 1 ? merged(given, place) : given
  const named = schema["type"] === undefined ? [] : [schema["type"]].flat()
  if (named.some((one) => !types.has(one as string))) return fail(place, "type", "is not a type of JSON")
  if (!("$ref" in schema)) checkTogether(schema, place)
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, parts[key]?.(value, inside(place, key)) ?? value])
  )
}

/**
 * The schema, as text, in a form of which grammars enforce all; or why there is none.
 *
 * @internal
 */
export const enforce = (text: string, path: string): string | SchemaProblem => {
  if (text.length > maxLength) {
    return new SchemaProblem(path, `has ${text.length} characters, but at most ${maxLength} are allowed`)
  }
  try {
    const root: unknown = JSON.parse(text)
    return JSON.stringify(enforceAt(root, { root, path, depth: 0 }))
  } catch (error) {
    return error instanceof SchemaProblem ? error : new SchemaProblem(path, "is not JSON")
  }
}
