/** The parts of a rendered text that have something in common. */
import type { Str } from "../python/text.ts"

/** Spans in UTF-16 units of the characters whose origin has a bit; they do not touch. @internal */
export const spansOf = (text: Str, bit: number): ReadonlyArray<{ readonly start: number; readonly end: number }> => {
  const out: Array<{ start: number; end: number }> = []
  let start = 0
  for (const run of text.runs) {
    const end = start + run.text.length
    const last = out.at(-1)
    if ((run.bits & bit) !== 0 && end > start) {
      if (last?.end === start) last.end = end
      else out.push({ start, end })
    }
    start = end
  }
  return out
}
