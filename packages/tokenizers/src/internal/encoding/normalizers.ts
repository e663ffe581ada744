/** Changes texts before they are split, as the normalizers of the reference do. */
import type { MakePattern } from "./preTokenizers.ts"
import { normalizeForm } from "./unicode.ts"

type Config = { readonly [key: string]: unknown }

/** @internal */
export type Normalize = (text: string) => string

const forms = new Set(["NFC", "NFD", "NFKC", "NFKD"])

const strip = (config: Config): Normalize => {
  const [left, right] = [config["strip_left"] !== false, config["strip_right"] !== false]
  return (text) => {
    const out = left ? text.replace(/^\p{White_Space}+/u, "") : text
    return right ? out.replace(/\p{White_Space}+$/u, "") : out
  }
}

/** @throws when the normalizer is not known @internal */
export const makeNormalizer = (config: unknown, makePattern: MakePattern): Normalize | undefined => {
  if (config === null || config === undefined) return undefined
  const given = config as Config
  const type = String(given["type"])
  if (forms.has(type)) return (text) => normalizeForm(text, type)
  const content = given["content"]
  switch (type) {
    case "Sequence": {
      const all = (given["normalizers"] as ReadonlyArray<unknown>).map((each) => makeNormalizer(each, makePattern))
      return (text) => all.reduce((out, normalize) => normalize?.(out) ?? out, text)
    }
    case "Replace": {
      const pattern = makePattern(given["pattern"])
      // `$` has a meaning in a replacement
      const replacement = typeof content === "string" ? content.replaceAll("$", "$$$$") : ""
      return (text) => text.replace(pattern, replacement)
    }
    case "Prepend":
      return (text) => (text === "" ? text : String(given["prepend"]) + text)
    case "Lowercase":
      // character by character: a final sigma is not special in the reference
      return (text) => Array.from(text, (char) => char.toLowerCase()).join("")
    case "Strip":
      return strip(given)
    default:
      throw new Error(`the normalizer ${type} is not supported: its text would not be exactly that of the reference`)
  }
}
