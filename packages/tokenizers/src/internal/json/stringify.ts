/** Prints JSON as Python's `json.dumps` does. */
import { keys } from "./keys.ts"
import { formatFloat, Numeral } from "./numbers.ts"

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

interface Layout {
  readonly item: string
  readonly key: string
  /** undefined for one line */
  readonly indent: string | undefined
}

/** How deep a value may nest: it may contain itself. */
const maxDepth = 500

const makeLayout = ({ indent, separators }: StringifyOptions): Layout => ({
  item: separators?.[0] ?? (indent === undefined ? ", " : ","),
  key: separators?.[1] ?? ": ",
  indent: typeof indent === "number" ? " ".repeat(Math.max(0, indent)) : indent
})

const shortEscapes: { readonly [char: string]: string } = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\b": "\\b",
  "\f": "\\f"
}

const escapeCharacter = (char: string): string =>
  shortEscapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`

/** The inside of a string. */
const escape = (text: string, ensureAscii: boolean): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(ensureAscii ? /[^\x20\x21\x23-\x5b\x5d-\x7e]/g : /["\\\u0000-\u001f]/g, escapeCharacter)

/** Compares by code points, as Python does; JavaScript compares UTF-16 units. */
const compareCodePoints = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x === y) continue
    // surrogates stand for code points beyond all others
    const isPair = (unit: number) => unit >= 0xd800 && unit < 0xe000
    return isPair(x) === isPair(y) ? x - y : isPair(x) ? 1 : -1
  }
  return a.length - b.length
}

/** The lines of an array or object, between its brackets. */
const layOut = (items: ReadonlyArray<string>, brackets: string, layout: Layout, level: number): string => {
  const [open, close] = [brackets.charAt(0), brackets.charAt(1)]
  if (items.length === 0) return brackets
  if (layout.indent === undefined) return open + items.join(layout.item) + close
  const line = `\n${layout.indent.repeat(level + 1)}`
  return `${open}${line}${items.join(layout.item + line)}\n${layout.indent.repeat(level)}${close}`
}

/** A number as Python prints the one that JSON has for it. */
const printNumber = (value: number): string => {
  if (!Number.isInteger(value)) return formatFloat(value)
  if (!Number.isSafeInteger(value)) {
    throw new TypeError(`the number ${value} may have lost digits: give a bigint, or a number of Json.parse`)
  }
  return String(value)
}

const print = (value: unknown, options: StringifyOptions, layout: Layout, level: number): string => {
  if (value === null) return "null"
  if (typeof value === "string") return `"${escape(value, options.ensureAscii ?? false)}"`
  if (typeof value === "number") return printNumber(value)
  if (typeof value === "boolean" || typeof value === "bigint" || value instanceof Numeral) return String(value)
  if (typeof value !== "object") throw new TypeError(`a ${typeof value} is not a value of JSON`)
  if (level >= maxDepth) throw new TypeError(`a value nests deeper than ${maxDepth} levels, or contains itself`)
  if (Array.isArray(value)) {
    const items = value.map((item) => print(item, options, layout, level + 1))
    return layOut(items, "[]", layout, level)
  }
  const names = options.sortKeys === true ? [...keys(value)].sort(compareCodePoints) : keys(value)
  const items = names.map((name) => {
    const item = print((value as { readonly [key: string]: unknown })[name], options, layout, level + 1)
    return `"${escape(name, options.ensureAscii ?? false)}"${layout.key}${item}`
  })
  return layOut(items, "{}", layout, level)
}

/** @internal */
export const stringify = (value: unknown, options: StringifyOptions = {}): string =>
  print(value, options, makeLayout(options), 0)
