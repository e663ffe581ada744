/** The operations of strings, by code points and Python's idea of white space. */
import { chargeSteps, fail, refuse } from "./failure.ts"
import { concat, Str } from "./text.ts"

/** The characters of `str.isspace`, for a class of a regular expression. @internal */
export const spaces = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"

const leadingSpace = new RegExp(`^[${spaces}]+`)
const isSpaceUnit = new RegExp(`[${spaces}]`)

const endOfLeading = (text: string, chars: ReadonlySet<string> | undefined): number => {
  if (chars === undefined) return leadingSpace.exec(text)?.[0].length ?? 0
  let at = 0
  for (const char of text) {
    if (!chars.has(char)) break
    at += char.length
  }
  return at
}

const startOfTrailing = (text: string, from: number, chars: ReadonlySet<string> | undefined): number => {
  let at = text.length
  while (at > from) {
    const low = text.charCodeAt(at - 1)
    const isPair = low >= 0xdc00 && low < 0xe000 && at > 1 && text.codePointAt(at - 2)! > 0xffff
    const char = text.slice(isPair ? at - 2 : at - 1, at)
    if (chars === undefined ? !isSpaceUnit.test(char) : !chars.has(char)) break
    at -= char.length
  }
  return at
}

/** Removes white space, or the given characters, from the sides. @internal */
export const strip = (text: Str, chars: Str | undefined, side: "left" | "right" | "both"): Str => {
  const set = chars === undefined ? undefined : new Set(chars.text)
  const from = side === "right" ? 0 : endOfLeading(text.text, set)
  const to = side === "left" ? text.text.length : startOfTrailing(text.text, from, set)
  return text.slice(from, to)
}

// oxlint-disable-next-line no-control-regex
const lineBreak = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g

/** @internal */
export const splitLines = (text: Str, keepEnds: boolean): Array<Str> => {
  const out: Array<Str> = []
  let from = 0
  for (const match of text.text.matchAll(lineBreak)) {
    const end = match.index + match[0].length
    out.push(text.slice(from, keepEnds ? end : match.index))
    from = end
  }
  if (from < text.text.length) out.push(text.slice(from))
  return out
}

/** The places at which a text is split by white space, or undefined at its ends. */
const splitSpace = (text: Str, limit: number, fromRight: boolean): Array<Str> => {
  const words = [...text.text.matchAll(new RegExp(`[^${spaces}]+`, "g"))].map(
    (match) => [match.index, match.index + match[0].length] as const
  )
  chargeSteps(words.length)
  if (limit < 0 || words.length <= limit) return words.map(([from, to]) => text.slice(from, to))
  if (fromRight) {
    const cut = words.length - limit
    const rest = text.slice(0, words[cut - 1]![1])
    const kept = words.slice(cut).map(([from, to]) => text.slice(from, to))
    return [strip(rest, undefined, "right"), ...kept]
  }
  const kept = words.slice(0, limit).map(([from, to]) => text.slice(from, to))
  return [...kept, text.slice(words[limit]![0])]
}

/** The starts of an infix, without overlap, from the left. */
const occurrences = (text: string, infix: string, limit: number): Array<number> => {
  const out: Array<number> = []
  for (let at = text.indexOf(infix); at !== -1 && (limit < 0 || out.length < limit);) {
    out.push(at)
    at = text.indexOf(infix, at + infix.length)
  }
  chargeSteps(out.length)
  return out
}

const occurrencesFromRight = (text: string, infix: string, limit: number): Array<number> => {
  const out: Array<number> = []
  let at = text.length - infix.length
  while (at >= 0 && (limit < 0 || out.length < limit)) {
    at = text.lastIndexOf(infix, at)
    if (at === -1) break
    out.push(at)
    at -= infix.length
  }
  chargeSteps(out.length)
  return out.reverse()
}

/** `split` and `rsplit`. A negative limit is none. @internal */
export const split = (text: Str, separator: Str | undefined, limit: number, fromRight: boolean): Array<Str> => {
  if (separator === undefined) return splitSpace(text, limit, fromRight)
  if (separator.text === "") return fail("splits by an empty separator")
  const find = fromRight ? occurrencesFromRight : occurrences
  const starts = find(text.text, separator.text, limit)
  let from = 0
  const out = starts.map((start) => {
    const part = text.slice(from, start)
    from = start + separator.text.length
    return part
  })
  return [...out, text.slice(from)]
}

/** @internal */
export const replace = (text: Str, old: Str, by: Str, limit: number): Str => {
  if (old.text === "") return replaceEmpty(text, by, limit)
  const starts = occurrences(text.text, old.text, limit)
  if (starts.length === 0) return text
  const parts: Array<Str> = []
  let from = 0
  for (const start of starts) {
    parts.push(text.slice(from, start), by)
    from = start + old.text.length
  }
  return concat([...parts, text.slice(from)])
}

/** An empty string stands between all characters. */
const replaceEmpty = (text: Str, by: Str, limit: number): Str => {
  const count = limit < 0 ? text.length + 1 : Math.min(limit, text.length + 1)
  chargeSteps(count)
  const parts: Array<Str> = []
  for (let i = 0; i < count; i++) {
    parts.push(by)
    if (i < text.length) parts.push(text.sliceByPoint(i, i + 1))
  }
  return concat([...parts, count <= text.length ? text.sliceByPoint(count, text.length) : new Str("")])
}

/** Maps a text whose characters may change with their neighbours. */
const mapCase = (text: Str, map: (text: string) => string): Str => {
  const whole = map(text.text)
  if (typeof text.origins === "number") return new Str(whole, text.origins)
  const parts = text.runs.map((run) => new Str(map(run.text), run.origins))
  const joined = concat(parts)
  return joined.text === whole ? joined : refuse("a change of case across the parts of a text")
}

/** @internal */
export const lower = (text: Str): Str => mapCase(text, (text) => text.toLowerCase())

/** @internal */
export const upper = (text: Str): Str => mapCase(text, (text) => text.toUpperCase())

/** The first character in title case, which JavaScript lacks: for few characters it is not upper case. */
const titleCharacter = (char: string): string => {
  if (
    /[\u01c4-\u01cc\u01f1-\u01f3\u1f80-\u1fff\u10d0-\u10ff\ufb00-\ufb17ßŉ\u01f0\u0390\u03b0\u0587\u1e96-\u1e9a]/u.test(
      char
    )
  ) {
    return refuse(`the title case of ${JSON.stringify(char)}`)
  }
  return char.toUpperCase()
}

/** @internal */
export const capitalize = (text: Str): Str => {
  if (text.length === 0) return text
  const first = text.unitOf(1)
  const head = mapCase(text.slice(0, first), titleCharacter)
  // the case of a final sigma depends on what is before it
  const rest = text.slice(first)
  const tail = mapCase(rest, (part) => part.toLowerCase())
  if (text.text.toLowerCase().slice(-rest.text.toLowerCase().length) !== tail.text && rest.text !== "") {
    return refuse("this change of case")
  }
  return concat([head, tail])
}

const isCased = /[\p{Lu}\p{Ll}\p{Lt}\p{Uppercase}\p{Lowercase}]/u

/** @internal */
export const title = (text: Str): Str =>
  mapCase(text, (part) => {
    if (/[Σσς]/.test(part)) return refuse("the title case of a sigma")
    let isAfterCased = false
    let out = ""
    for (const char of part) {
      out += isAfterCased ? char.toLowerCase() : isCased.test(char) ? titleCharacter(char) : char
      isAfterCased = isCased.test(char)
    }
    return out
  })

/** @internal */
export const swapCase = (text: Str): Str =>
  mapCase(text, (part) => {
    if (/\P{ASCII}/u.test(part)) return refuse("a swap of case beyond ASCII")
    return part.replace(/[a-zA-Z]/g, (char) => (char < "a" ? char.toLowerCase() : char.toUpperCase()))
  })

const isAscii = (text: string): boolean => !/\P{ASCII}/u.test(text)

const isDigits = (text: string): boolean => {
  if (/^\p{Nd}+$/u.test(text)) return true
  // superscripts and the like are digits in part
  return /^[\p{Nd}\p{No}]+$/u.test(text) ? refuse("isdigit of digits that are not decimal") : false
}

const isTitle = (text: string): boolean => {
  if (!isAscii(text)) return refuse("istitle beyond ASCII")
  return /[a-zA-Z]/.test(text) && !/[a-zA-Z][A-Z]|(?:^|[^a-zA-Z])[a-z]/.test(text)
}

/** The methods of strings that say what kind of characters they have. @internal */
export const kinds: { readonly [method: string]: (text: string) => boolean } = {
  isalnum: (text) => /^[\p{L}\p{N}]+$/u.test(text),
  isalpha: (text) => /^\p{L}+$/u.test(text),
  isascii: isAscii,
  isdecimal: (text) => /^\p{Nd}+$/u.test(text),
  isdigit: isDigits,
  isidentifier: (text) => (isAscii(text) ? /^[a-zA-Z_]\w*$/.test(text) : refuse("isidentifier beyond ASCII")),
  islower: (text) => /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text),
  isnumeric: (text) => (isAscii(text) ? /^\d+$/.test(text) : refuse("isnumeric beyond ASCII")),
  isprintable: (text) => !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(text),
  isspace: (text) => new RegExp(`^[${spaces}]+$`).test(text),
  istitle: isTitle,
  isupper: (text) => /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)
}
