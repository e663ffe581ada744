/** Parses JSON without loss. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as lossless from "lossless-json"
import { isIndex, order } from "./keys.ts"
import { type Numeral, readNumber } from "./numbers.ts"
import { endOfString, scan } from "./scan.ts"

/**
 * A value of JSON. `undefined` stands for an absent key.
 *
 * @since 0.1.0
 * @category models
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | Numeral
  | ReadonlyArray<Value>
  | { readonly [key: string]: Value | undefined }

/**
 * A text is not JSON, nests too deep, or has a number that Python cannot read.
 *
 * @since 0.1.0
 * @category errors
 */
export class JsonError extends Schema.TaggedError<JsonError>("@effect-tinker/tokenizers/Json/JsonError")("JsonError", {
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/**
 * How to parse JSON.
 *
 * @since 0.1.0
 * @category models
 */
export interface ParseOptions {
  /** how deep arrays and objects may nest; 100 by default, at most 500 */
  readonly maxDepth?: number | undefined
}

/** The parser calls itself for each level, so that deep nesting would end in an overflow of the stack. */
const mostDepth = 500

const keyMark = "k"

/** The text with a mark before each key, so that no key is an integer and none is moved. */
const markKeys = (text: string): string => {
  const parts: Array<string> = []
  let from = 0
  for (let quote = text.indexOf('"'); quote !== -1;) {
    const end = endOfString(text, quote + 1)
    const colon = /[ \t\r\n]*:/y
    colon.lastIndex = end + 1
    if (colon.test(text)) {
      parts.push(text.slice(from, quote + 1), keyMark)
      from = quote + 1
    }
    quote = text.indexOf('"', end + 1)
  }
  return parts.join("") + text.slice(from)
}

/** A parsed value with the marks of its keys removed. */
const unmarkKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(unmarkKeys)
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  const out: Record<string | symbol, unknown> = {}
  const keys: Array<string> = []
  for (const [marked, each] of Object.entries(value)) {
    const key = marked.slice(keyMark.length)
    keys.push(key)
    // an assignment to `__proto__` would not make a key
    Object.defineProperty(out, key, { value: unmarkKeys(each), enumerable: true, writable: true, configurable: true })
  }
  if (keys.some(isIndex) && Object.keys(out).some((key, i) => key !== keys[i])) out[order] = keys
  return out
}

const parseOptions = {
  parseNumber: readNumber,
  onDuplicateKey: ({ newValue }: { readonly newValue: unknown }) => newValue
}

const parseLossless = (text: string): unknown => unmarkKeys(lossless.parse(markKeys(text), null, parseOptions))

/** The message without the characters that a terminal would act on. */
const clean = (message: string): string =>
  message.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** What is wrong with a text that could not be parsed. Positions are those of the text without marks. */
const reasonOf = (text: string, cause: unknown): string => {
  try {
    lossless.parse(text, null, parseOptions)
  } catch (plain) {
    if (plain instanceof SyntaxError) return clean(plain.message)
  }
  return clean(String(cause))
}

/** @internal */
export const parse = (text: string, options: ParseOptions = {}): Either.Either<Value, JsonError> => {
  const maxDepth = Math.min(options.maxDepth ?? 100, mostDepth)
  const { depth, isPlain } = scan(text)
  if (depth > maxDepth) {
    return Either.left(new JsonError({ reason: `arrays and objects nest deeper than ${maxDepth} levels` }))
  }
  try {
    return Either.right((isPlain ? JSON.parse(text) : parseLossless(text)) as Value)
  } catch (cause) {
    return Either.left(new JsonError({ reason: reasonOf(text, cause) }))
  }
}
