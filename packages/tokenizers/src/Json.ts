/**
 * JSON as Python reads and prints it. `JSON.parse` changes what a model would see: it rounds 64-bit integers, turns `1.0`
 * into `1` and `1e-07` into `1e-7`, and moves keys that are integers. Conversations and tools are read with this module,
 * and chat templates print them as they were.
 *
 * @since 0.1.0
 */
import type * as Either from "effect/Either"
import type { JsonError, ParseOptions, Value } from "./internal/json/parse.ts"
import * as parsing from "./internal/json/parse.ts"
import { Numeral } from "./internal/json/numbers.ts"
import * as printing from "./internal/chat/stringify.ts"

export { keys, order } from "./internal/json/keys.ts"
export { Numeral } from "./internal/json/numbers.ts"
export { JsonError, type ParseOptions, type Value } from "./internal/json/parse.ts"
export type { StringifyOptions } from "./internal/chat/stringify.ts"

/**
 * Parses a text as Python's `json.loads` does. A number is a JavaScript number if that is the same number and is printed
 * in the same way (`3`, `0.5`), else a `Numeral`, which keeps its text. The last of duplicate keys counts. `__proto__` is a
 * key like others. `NaN` and `Infinity`, which are not JSON, are rejected, although Python accepts them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parse = (text: string, options?: ParseOptions): Either.Either<Value, JsonError> =>
  parsing.parse(text, options)

/**
 * The text of a value as Python's `json.dumps(value, ensure_ascii=False)` prints it. Keys whose value is `undefined` are
 * left out; a `bigint` is an integer.
 *
 * @throws when the value is not one of JSON, nests deeper than 100 levels, contains itself, or has a number beyond 2^53
 * that may have lost digits
 * @since 0.1.0
 * @category conversions
 */
export const stringify = (value: unknown, options?: printing.StringifyOptions): string =>
  printing.stringify(value, options)

/**
 * The nearest JavaScript number of a number, whichever form it has, and undefined for other values. A field such as
 * `"weight": 1.0` is a `Numeral`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toNumber = (value: unknown): number | undefined =>
  typeof value === "number" ? value : value instanceof Numeral ? value.toNumber() : undefined
