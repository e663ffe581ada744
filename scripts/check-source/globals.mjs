/**
 * Sources take time, random numbers, output and settings from Effect's services, never from globals, so that a test
 * controls all of them. Imports name modules, not barrels, and tensors are never decoded number by number.
 */
import { packages, parse } from "./sources.mjs"

const forbidden = [
  [/\bDate\.now\b/, "read the time from effect/Clock"],
  [/\bnew Date\(\)/, "read the time from effect/Clock"],
  [/\bMath\.random\b/, "take random numbers from effect/Random"],
  [/\bcrypto\.(randomUUID|getRandomValues)\b/, "take random numbers from effect/Random"],
  [/\bset(Timeout|Interval)\s*\(/, "sleep with effect/Effect"],
  [/\bperformance\.now\b/, "read the time from effect/Clock"],
  [/\bconsole\s*\./, "log with effect/Effect"],
  [/\bprocess\.env\b/, "read settings with effect/Config"],
  [/\bSchema\.Array\(\s*Schema\.Number\s*\)/, "decode tensors to typed arrays"],
  [/from "(effect|@effect\/platform|@effect\/platform-node)"/, "import the module, not the barrel"],
  [/from "@effect-tinker\/[a-z]+"/, "import the module, not the barrel"]
]

/** The code with its comments blanked out: comments may mention what code may not use. Line numbers stay. */
const withoutComments = (text) =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " ")).replace(/(^|\s)\/\/.*$/gm, "$1")

export const check = (report) => {
  for (const { sources } of packages) {
    for (const path of sources.filter((source) => source.endsWith(".ts"))) {
      for (const [i, line] of withoutComments(parse(path).text).split("\n").entries()) {
        for (const [pattern, advice] of forbidden) if (pattern.test(line)) report(path, i + 1, advice)
      }
    }
  }
}
