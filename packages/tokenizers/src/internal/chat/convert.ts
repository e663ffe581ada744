/** Makes values of Python from those of a program, and marks strings with where they come from. */
import { keys } from "../json/keys.ts"
import { Numeral } from "../json/numbers.ts"
import { fail } from "../python/failure.ts"
import { origin, Str } from "../python/text.ts"
import { Dict, Fields, None, type Value } from "../python/values.ts"

/** How deep messages, tools and variables may nest. */
const maxDepth = 100

const convertNumber = (value: number, path: string): Value => {
  if (!Number.isInteger(value)) return value
  if (Number.isSafeInteger(value)) return BigInt(value)
  return fail(`got ${value} at ${path}, which may have lost digits: give a bigint, or read the file with Json.parse`)
}

const convertString = (value: string, path: string, bits: number): Str =>
  /\p{Cs}/u.test(value)
    ? fail(`got text at ${path} that is not Unicode: half of a surrogate pair`)
    : new Str(value, bits)

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** @throws when a value has no counterpart in Python @internal */
export const convert = (value: unknown, path: string, bits: number, depth = 0): Value => {
  if (value === null) return None
  if (typeof value === "boolean" || typeof value === "bigint") return value
  if (typeof value === "string") return convertString(value, path, bits)
  if (typeof value === "number") return convertNumber(value, path)
  if (value instanceof Numeral) return value.isInteger ? BigInt(value.text) : value.toNumber()
  if (typeof value !== "object") return fail(`got ${typeof value} at ${path}, which JSON does not have`)
  if (depth >= maxDepth) return fail(`got a value at ${path} that nests deeper than ${maxDepth} levels`)
  if (Array.isArray(value)) return value.map((each, i) => convert(each, `${path}[${i}]`, bits, depth + 1))
  // the bytes of an image, for example: a template may ask whether there are some, and cannot read them
  if (!isPlain(value)) return new Fields(value.constructor.name, () => undefined)
  return new Dict(
    keys(value).map((key) => [
      convertString(key, path, bits),
      convert((value as { readonly [key: string]: unknown })[key], `${path}.${key}`, bits, depth + 1)
    ])
  )
}

/** The names that templates read a message's reasoning by. The first one is the standard. */
const reasoningNames = ["reasoning_content", "thinking", "reasoning"]

/**
 * A message as the reference gives it to templates: without keys whose value is null, and with its reasoning under the
 * names that templates read.
 *
 * @internal
 */
export const convertMessage = (message: object, path: string): Value => {
  const given = message as { readonly [key: string]: unknown }
  const bits = given["role"] === "assistant" ? origin.data | origin.assistant : origin.data
  const entries = keys(given)
    .filter((key) => given[key] !== null)
    .map((key): readonly [Str, Value] => [
      convertString(key, path, bits),
      convert(given[key], `${path}.${key}`, bits, 1)
    ])
  const dict = new Dict(entries)
  const reasoning = reasoningNames.map((name) => dict.getName(name)).find((value) => value !== undefined)
  if (reasoning === undefined) return dict
  return new Dict([
    [new Str("thinking", bits), reasoning],
    ...dict.entries,
    [new Str("reasoning_content", bits), reasoning]
  ])
}
