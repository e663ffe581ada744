/** `str`, `repr` and `json.dumps` of Python, with the origins of strings kept. */
import { fail, refuse } from "./failure.ts"
import { concat, join, Str } from "./text.ts"
import {
  Dict,
  DictView,
  isNumber,
  None,
  NoneType,
  printFloat,
  printInt,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value
} from "./values.ts"

/** How deep values may nest. */
const maxDepth = 200

const escapeOf = (char: string, quote: string): string => {
  if (char === quote || char === "\\") return `\\${char}`
  if (char === "\n") return "\\n"
  if (char === "\r") return "\\r"
  if (char === "\t") return "\\t"
  const code = char.codePointAt(0)!
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`
  return `\\U${code.toString(16).padStart(8, "0")}`
}

/** What `repr` escapes: all separators but the space, and all that is not assigned or not printed. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u

/** Replaces single characters; each replacement has the origin of what it replaces. */
const replaceCharacters = (text: Str, pattern: RegExp, replace: (char: string) => string): Str => {
  const parts: Array<Str> = []
  let from = 0
  for (const match of text.text.matchAll(new RegExp(pattern, pattern.flags.includes("g") ? undefined : "gu"))) {
    const end = match.index + match[0].length
    parts.push(text.slice(from, match.index))
    parts.push(new Str(replace(match[0]), text.slice(match.index, end).bits))
    from = end
  }
  if (from === 0) return text
  return concat([...parts, text.slice(from)])
}

const reprStr = (text: Str): Str => {
  const quote = text.text.includes("'") && !text.text.includes('"') ? '"' : "'"
  const inside = replaceCharacters(text, new RegExp(`[\\\\${quote}]|${unprintable.source}`, "gu"), (char) =>
    escapeOf(char, quote)
  )
  return concat([new Str(quote), inside, new Str(quote)])
}

const comma = new Str(", ")

/** @internal */
export const repr = (value: Value, depth = 0): Str => {
  if (depth > maxDepth) return fail(`prints a value that nests deeper than ${maxDepth} levels`)
  const all = (items: ReadonlyArray<Value>) =>
    join(
      comma,
      items.map((item) => repr(item, depth + 1))
    )
  if (value instanceof Str) return reprStr(value)
  if (Array.isArray(value)) return concat([new Str("["), all(value as ReadonlyArray<Value>), new Str("]")])
  if (value instanceof Tuple) {
    return concat([new Str("("), all(value.items), new Str(value.items.length === 1 ? ",)" : ")")])
  }
  if (value instanceof Dict) {
    const entries = value.entries.map(([key, item]) =>
      concat([repr(key, depth + 1), new Str(": "), repr(item, depth + 1)])
    )
    return concat([new Str("{"), join(comma, entries), new Str("}")])
  }
  if (value instanceof DictView) return concat([new Str(`dict_${value.kind}([`), all(value.items), new Str("])")])
  return value instanceof Undefined ? new Str("Undefined") : toStr(value)
}

/** @internal */
export const toStr = (value: Value): Str => {
  if (value instanceof Str) return value
  if (value === None) return new Str("None")
  if (typeof value === "boolean") return new Str(value ? "True" : "False")
  if (typeof value === "bigint") return new Str(printInt(value))
  if (typeof value === "number") return new Str(printFloat(value))
  if (value instanceof Undefined) return new Str("")
  if (value instanceof Range) {
    const step = value.step === 1n ? "" : `, ${value.step}`
    return new Str(`range(${value.start}, ${value.stop}${step})`)
  }
  if (Array.isArray(value) || value instanceof Tuple || value instanceof Dict || value instanceof DictView) {
    return repr(value)
  }
  return refuse(`the text of a ${typeName(value)}`)
}

interface Layout {
  readonly item: Str
  readonly key: Str
  readonly indent: Str | undefined
  readonly ensureAscii: boolean
  readonly sortKeys: boolean
}

const shortEscapes: { readonly [char: string]: string } = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\b": "\\b",
  "\f": "\\f"
}

const jsonEscape = (char: string): string =>
  shortEscapes[char] ??
  Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join("")

const jsonStr = (text: Str, ensureAscii: boolean): Str => {
  // oxlint-disable-next-line no-control-regex
  const pattern = ensureAscii ? /[^\x20\x21\x23-\x5b\x5d-\x7e]/gu : /["\\\u0000-\u001f]/gu
  return concat([new Str('"'), replaceCharacters(text, pattern, jsonEscape), new Str('"')])
}

const jsonKey = (key: Value): Str => {
  if (key instanceof Str) return key
  if (key === None || isNumber(key)) return new Str(jsonScalar(key))
  return fail(`prints a ${typeName(key)} as a key of JSON`)
}

const jsonScalar = (value: NoneType | boolean | bigint | number): string => {
  if (value instanceof NoneType) return "null"
  if (typeof value === "boolean") return String(value)
  if (typeof value === "bigint") return printInt(value)
  return Number.isFinite(value) ? printFloat(value) : Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
}

const sortedEntries = (value: Dict, layout: Layout): ReadonlyArray<readonly [Value, Value]> => {
  if (!layout.sortKeys) return value.entries
  const compare = (a: Value, b: Value): number => {
    if (!(a instanceof Str) || !(b instanceof Str)) return fail("sorts keys that are not strings")
    return compareText(a.text, b.text)
  }
  return [...value.entries].sort(([a], [b]) => compare(a, b))
}

/** Compares by code points; JavaScript compares UTF-16 units, which puts surrogates before U+E000. @internal */
export const compareText = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x === y) continue
    const isPair = (unit: number) => unit >= 0xd800 && unit < 0xe000
    return isPair(x) === isPair(y) ? x - y : isPair(x) ? 1 : -1
  }
  return a.length - b.length
}

const printJson = (value: Value, layout: Layout, level: number): Str => {
  if (level > maxDepth) return fail(`prints JSON that nests deeper than ${maxDepth} levels`)
  if (value instanceof Str) return jsonStr(value, layout.ensureAscii)
  if (value === None || isNumber(value)) return new Str(jsonScalar(value))
  const items = Array.isArray(value)
    ? (value as ReadonlyArray<Value>)
    : value instanceof Tuple
      ? value.items
      : undefined
  if (items !== undefined) {
    return layOut(
      items.map((item) => printJson(item, layout, level + 1)),
      "[]",
      layout,
      level
    )
  }
  if (!(value instanceof Dict)) return fail(`prints a ${typeName(value)} as JSON`)
  const entries = sortedEntries(value, layout).map(([key, item]) =>
    concat([jsonStr(jsonKey(key), layout.ensureAscii), layout.key, printJson(item, layout, level + 1)])
  )
  return layOut(entries, "{}", layout, level)
}

const layOut = (items: ReadonlyArray<Str>, brackets: string, layout: Layout, level: number): Str => {
  const { indent } = layout
  const [open, close] = [new Str(brackets.charAt(0)), new Str(brackets.charAt(1))]
  if (items.length === 0) return new Str(brackets)
  if (indent === undefined) return concat([open, join(layout.item, items), close])
  const line = (depth: number) => concat([new Str("\n"), ...Array.from({ length: depth }, () => indent)])
  const inner = line(level + 1)
  return concat([open, inner, join(concat([layout.item, inner]), items), line(level), close])
}

/** The options of `json.dumps`. @internal */
export interface JsonOptions {
  readonly indent: Str | undefined
  readonly separators: readonly [Str, Str] | undefined
  readonly ensureAscii: boolean
  readonly sortKeys: boolean
}

/** @internal */
export const dumps = (value: Value, options: JsonOptions): Str =>
  printJson(
    value,
    {
      item: options.separators?.[0] ?? new Str(options.indent === undefined ? ", " : ","),
      key: options.separators?.[1] ?? new Str(": "),
      indent: options.indent,
      ensureAscii: options.ensureAscii,
      sortKeys: options.sortKeys
    },
    0
  )
