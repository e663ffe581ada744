/** Prints JSON as Python's `json.dumps` does. */
import { startMeter } from "../python/failure.ts"
import { dumps } from "../python/print.ts"
import { Str } from "../python/text.ts"
import { convert } from "./convert.ts"

/**
 * How to print JSON, by the names of Python's `json.dumps`.
 *
 * @since 0.1.0
 * @category models
 */
export interface StringifyOptions {
  /** escape all characters beyond ASCII; false by default */
  readonly ensureAscii?: boolean | undefined
  /** the number of spaces of a level, or its text; one line by default */
  readonly indent?: number | string | undefined
  /** between items, and between a key and its value; `[", ", ": "]` by default, `[",", ": "]` with an indent */
  readonly separators?: readonly [item: string, key: string] | undefined
  /** print keys in order of their code points; false by default */
  readonly sortKeys?: boolean | undefined
}

/** @internal */
export const stringify = (value: unknown, options: StringifyOptions = {}): string => {
  const { indent, separators } = options
  startMeter()
  return dumps(convert(value, "the value", 0), {
    indent: indent === undefined ? undefined : new Str(typeof indent === "number" ? " ".repeat(indent) : indent),
    separators: separators === undefined ? undefined : [new Str(separators[0]), new Str(separators[1])],
    ensureAscii: options.ensureAscii ?? false,
    sortKeys: options.sortKeys ?? false
  }).text
}
