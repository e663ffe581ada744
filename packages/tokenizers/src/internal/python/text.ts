/**
 * Strings of Python that know where each of their characters comes from: the template, or data such as the content of a
 * message. Every operation on strings is made of `slice` and `concat`, which keep it.
 */
import { chargeCharacters } from "./failure.ts"

/** Bits of an origin; the template's own characters have none. @internal */
export const origin = { template: 0, data: 1, assistant: 2, generation: 4 } as const

/** The origin of a whole text, or of runs of it: the end of a run in UTF-16 units, then its origin. */
type Origins = number | ReadonlyArray<number>

const surrogate = /[\ud800-\udfff]/

/** @internal */
export class Str {
  readonly text: string
  readonly origins: Origins
  #points: ReadonlyArray<number> | "units" | undefined
  constructor(text: string, origins: Origins = origin.template) {
    this.text = text
    this.origins = origins
  }

  /** The index of each code point in UTF-16 units, and the end; "units" if they are the same. */
  get #index(): ReadonlyArray<number> | "units" {
    if (this.#points !== undefined) return this.#points
    if (!surrogate.test(this.text)) return (this.#points = "units")
    const starts: Array<number> = []
    for (let i = 0; i < this.text.length; i += this.text.codePointAt(i)! > 0xffff ? 2 : 1) starts.push(i)
    starts.push(this.text.length)
    return (this.#points = starts)
  }

  /** the number of code points, which is the length in Python */
  get length(): number {
    return this.#index === "units" ? this.text.length : this.#index.length - 1
  }

  /** the index in UTF-16 units of a code point */
  unitOf(point: number): number {
    return this.#index === "units" ? point : this.#index[point]!
  }

  /** the number of code points before an index in UTF-16 units */
  pointOf(unit: number): number {
    if (this.#index === "units") return unit
    return new Str(this.text.slice(0, unit)).length
  }

  /** a part, from and to indices in UTF-16 units */
  slice(from: number, to: number = this.text.length): Str {
    if (from === 0 && to === this.text.length) return this
    const text = this.text.slice(from, to)
    if (typeof this.origins === "number") return new Str(text, this.origins)
    const runs: Array<number> = []
    for (let i = 0, start = 0; i < this.origins.length && start < to; i += 2) {
      const end = this.origins[i]!
      if (end > from) runs.push(Math.min(end, to) - from, this.origins[i + 1]!)
      start = end
    }
    return new Str(text, runs.length === 2 ? runs[1]! : runs.length === 0 ? origin.template : runs)
  }

  /** a part, from and to code points */
  sliceByPoint(from: number, to: number): Str {
    return this.slice(this.unitOf(from), this.unitOf(to))
  }

  /** the parts of one origin */
  get runs(): ReadonlyArray<Str> {
    if (typeof this.origins === "number") return [this]
    const out: Array<Str> = []
    for (let i = 0, start = 0; i < this.origins.length; i += 2) {
      out.push(new Str(this.text.slice(start, this.origins[i]!), this.origins[i + 1]!))
      start = this.origins[i]!
    }
    return out
  }

  /** the same text, with bits added to its origins */
  marked(bits: number): Str {
    if (typeof this.origins === "number") return new Str(this.text, this.origins | bits)
    return new Str(
      this.text,
      this.origins.map((value, i) => (i % 2 === 0 ? value : value | bits))
    )
  }

  /** the origin of all characters that are not the template's */
  get bits(): number {
    if (typeof this.origins === "number") return this.origins
    return this.origins.reduce((bits, value, i) => (i % 2 === 0 ? bits : bits | value), 0)
  }
}

/**
 * A text that the filter `safe` marked as HTML. Python escapes what is added to it, which is not done here: the operations
 * that would escape are rejected.
 *
 * @internal
 */
export class Safe extends Str {}

/** Gathers parts of a text. @internal */
export class Builder {
  readonly #texts: Array<string> = []
  readonly #runs: Array<number> = []
  #length = 0

  push(part: Str): void {
    if (part.text.length === 0) return
    chargeCharacters(part.text.length)
    this.#texts.push(part.text)
    const start = this.#length
    this.#length += part.text.length
    if (typeof part.origins === "number") this.#run(this.#length, part.origins)
    else for (let i = 0; i < part.origins.length; i += 2) this.#run(start + part.origins[i]!, part.origins[i + 1]!)
  }

  #run(end: number, value: number): void {
    const runs = this.#runs
    if (runs.length > 0 && runs[runs.length - 1] === value) runs[runs.length - 2] = end
    else runs.push(end, value)
  }

  finish(): Str {
    const text = this.#texts.join("")
    if (this.#runs.length === 0) return new Str("")
    return new Str(text, this.#runs.length === 2 ? this.#runs[1]! : this.#runs)
  }
}

/** @internal */
export const concat = (parts: Iterable<Str>): Str => {
  const builder = new Builder()
  for (const part of parts) builder.push(part)
  return builder.finish()
}

/** @internal */
export const join = (separator: Str, parts: ReadonlyArray<Str>): Str => {
  if (parts.length === 1) return parts[0]!
  const builder = new Builder()
  for (const [i, part] of parts.entries()) {
    if (i > 0) builder.push(separator)
    builder.push(part)
  }
  return builder.finish()
}

/** @internal */
export const repeat = (part: Str, count: number): Str => {
  if (count <= 0 || part.text.length === 0) return new Str("")
  chargeCharacters(part.text.length * count)
  if (typeof part.origins === "number") return new Str(part.text.repeat(count), part.origins)
  return concat(Array.from({ length: count }, () => part))
}
