/** Splits texts into words, as the pre-tokenizers of the reference do. */
import type { Stage } from "./model.ts"

type Config = { readonly [key: string]: unknown }

/** Makes a regular expression of a pattern of `tokenizer.json`. @internal */
export type MakePattern = (pattern: unknown) => RegExp

interface Part {
  readonly text: string
  readonly isMatch: boolean
}

/** The matches of a pattern and what is between them. */
function* partsOf(text: string, pattern: RegExp, isInverted: boolean): Iterable<Part> {
  let from = 0
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (match === "") continue
    if (index > from) yield { text: text.slice(from, index), isMatch: isInverted }
    yield { text: match, isMatch: !isInverted }
    from = index + match.length
  }
  if (from < text.length) yield { text: text.slice(from), isMatch: isInverted }
}

/** Joins parts: each with the one before it, if `joins` says so. */
function* joined(parts: Iterable<Part>, joins: (before: Part, part: Part) => boolean): Iterable<string> {
  let pending = ""
  let before: Part | undefined
  for (const part of parts) {
    if (before !== undefined && !joins(before, part)) {
      yield pending
      pending = ""
    }
    pending += part.text
    before = part
  }
  if (before !== undefined) yield pending
}

type Behavior = (parts: Iterable<Part>) => Iterable<string>

/** Which parts a behaviour keeps together. */
const behaviors: { readonly [name: string]: Behavior } = {
  isolated: (parts) => joined(parts, () => false),
  contiguous: (parts) => joined(parts, (before, part) => before.isMatch === part.isMatch),
  mergedwithprevious: (parts) => joined(parts, (before, part) => part.isMatch && !before.isMatch),
  mergedwithnext: (parts) => joined(parts, (before, part) => before.isMatch && !part.isMatch),
  removed: function* (parts) {
    for (const { isMatch, text } of parts) if (!isMatch) yield text
  }
}

const splitBy = (pattern: RegExp, behavior: string, isInverted = false): Stage => {
  const join = behaviors[behavior.toLowerCase()]
  if (join === undefined) throw new Error(`the pre-tokenizer Split has the unknown behavior ${behavior}`)
  return (text) => join(partsOf(text, pattern, isInverted))
}

const space = "\\p{White_Space}"
const word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}"
const punctuation = /[\p{P}!-/:-@[-`{-~]/gu

const gptPattern = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}]+|${space}+(?!\\P{White_Space})|${space}+`,
  "gu"
)

/** The characters that stand for the bytes: printable ones for themselves, the others from U+0100 on. */
const byteCharacters: ReadonlyArray<string> = (() => {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    return String.fromCharCode(isPrintable ? byte : next++)
  })
})()

const encoder = new TextEncoder()

const toByteCharacters = (text: string): string => {
  let out = ""
  for (const byte of encoder.encode(text)) out += byteCharacters[byte]!
  return out
}

const byteLevel = (config: Config): Stage => {
  const split = config["use_regex"] === false ? undefined : splitBy(gptPattern, "isolated")
  return function* (text, isStart) {
    const prefixed = config["add_prefix_space"] === true && !text.startsWith(" ") ? ` ${text}` : text
    if (split === undefined) yield toByteCharacters(prefixed)
    else for (const piece of split(prefixed, isStart)) yield toByteCharacters(piece)
  }
}

const metaspace = (config: Config): Stage => {
  const replacement = typeof config["replacement"] === "string" ? config["replacement"] : "▁"
  const scheme = config["prepend_scheme"] ?? (config["add_prefix_space"] === false ? "never" : "always")
  const split = splitBy(new RegExp(replacement.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu"), "mergedwithnext")
  return (text, isStart) => {
    let out = text.replaceAll(" ", () => replacement)
    const isPrefixed = scheme === "always" || (scheme === "first" && isStart)
    if (isPrefixed && !out.startsWith(replacement)) out = replacement + out
    return config["split"] === false ? [out] : split(out, isStart)
  }
}

const chain = (first: Stage, second: Stage): Stage =>
  function* (text, isStart) {
    let isFirst = isStart
    for (const piece of first(text, isStart)) {
      yield* second(piece, isFirst)
      isFirst = false
    }
  }

const whole: Stage = (text) => [text]

const digits = (config: Config): Stage =>
  splitBy(/\p{N}/gu, config["individual_digits"] === true ? "isolated" : "contiguous")

/** @throws when the pre-tokenizer is not known @internal */
export const makeStage = (config: unknown, makePattern: MakePattern): Stage => {
  if (config === null || config === undefined) return whole
  const given = config as Config
  switch (given["type"]) {
    case "Sequence":
      return (given["pretokenizers"] as ReadonlyArray<unknown>)
        .map((each) => makeStage(each, makePattern))
        .reduce(chain)
    case "Split":
      return splitBy(makePattern(given["pattern"]), String(given["behavior"]), given["invert"] === true)
    case "ByteLevel":
      return byteLevel(given)
    case "Metaspace":
      return metaspace(given)
    case "Digits":
      return digits(given)
    case "Punctuation":
      return splitBy(punctuation, String(given["behavior"] ?? "isolated"))
    case "WhitespaceSplit":
      return splitBy(new RegExp(space, "gu"), "removed")
    case "Whitespace":
      return splitBy(new RegExp(`[${word}]+|[^${word}${space}]+`, "gu"), "removed", true)
    case "BertPreTokenizer":
      return chain(splitBy(new RegExp(space, "gu"), "removed"), splitBy(punctuation, "isolated"))
    default:
      throw new Error(`the pre-tokenizer ${String(given["type"])} is not supported`)
  }
}
