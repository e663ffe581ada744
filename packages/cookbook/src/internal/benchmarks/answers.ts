/** Reads what a model answers to a benchmark. */

/** Numbers as texts write them: with signs, commas between thousands, and decimals. */
const number = /[-+]?\d[\d,]*(?:\.\d+)?/g

const valueOf = (text: string): number => Number(text.replaceAll(",", ""))

/** The content of the last `\boxed{…}` with its inner braces; `undefined` if there is none, or it has no end. */
const boxed = (text: string): string | undefined => {
  const start = text.lastIndexOf("\\boxed{")
  if (start < 0) return undefined
  let depth = 0
  for (let at = start + 6; at < text.length; at++) {
    if (text[at] === "{") depth++
    if (text[at] === "}" && --depth === 0) return text.slice(start + 7, at)
  }
  return undefined
}

/** The number that a text ends with: in its last box, else its last one. @internal */
export const lastNumber = (text: string): number | undefined => {
  const found = (boxed(text) ?? text).match(number)
  return found === null ? undefined : valueOf(found[found.length - 1]!)
}

/** The letter of a choice that a text ends with: in its last box, or behind `answer is`, else the last one on its own. @internal */
export const lastChoice = (text: string, labels: ReadonlyArray<string>): string | undefined => {
  const known = new Map(labels.map((label) => [label.toUpperCase(), label]))
  const box = boxed(text)?.trim().toUpperCase()
  if (box !== undefined && known.has(box)) return known.get(box)
  const said = Array.from(text.matchAll(/answer(?:\s+is)?\s*:?\s*\(?\**([A-Za-z0-9])\b/gi), ([, letter]) =>
    letter!.toUpperCase()
  )
  // a small letter on its own is a word
  const alone = Array.from(text.matchAll(/(?<![\w'])([A-Z0-9])(?![\w'])/g), ([, letter]) => letter!)
  const found = [...alone, ...said].filter((letter) => known.has(letter))
  return found.length === 0 ? undefined : known.get(found[found.length - 1]!)
}

/** What two ways to write an answer of mathematics have in common: without spaces, dollars, and other names of commands. */
const plain = (text: string): string =>
  text
    .replace(/\\text\s*\{([^{}]*)\}/g, "$1")
    .replace(/\\[dt]frac/g, "\\frac")
    .replace(/\\(?:left|right|!|,|;|:|\s|%)/g, "")
    .replace(/\^\s*\{?\\circ\}?/g, "")
    .replace(/[\s$%]/g, "")
    .replace(/\\frac([\da-z])([\da-z])/gi, "\\frac{$1}{$2}")
    .replace(/\.$/, "")

/** Whether the last box of a text has this answer, up to how it is written; equal numbers are equal. @internal */
export const hasAnswer = (text: string, answer: string): boolean => {
  const found = boxed(text)
  if (found === undefined) return false
  const [a, b] = [plain(found), plain(answer)]
  const isNumber = (value: string) => value.match(number)?.[0] === value
  return a === b || (isNumber(a) && isNumber(b) && valueOf(a) === valueOf(b))
}
