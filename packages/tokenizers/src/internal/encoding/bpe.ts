/** Byte-pair encoding of words. */
import { MergeRun } from "./mergeRun.ts"
import { Merges } from "./merges.ts"
import { type Model, runAtOnce } from "./model.ts"

type Config = { readonly [key: string]: unknown }

/** Words up to this length are merged by looking at all their pairs, and kept for the next time they come. */
const shortLength = 48

const cacheSize = 20_000

/** How many merges a step does. */
const mergesOfStep = 3000

/** How many characters of a long word a step looks at. */
const symbolsOfStep = 10_000

const hexByte = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`

const readMerges = (vocabulary: ReadonlyMap<string, number>, merges: ReadonlyArray<unknown>): Merges => {
  const table = new Merges(merges.length)
  for (const [rank, merge] of merges.entries()) {
    const [left = "", right = ""] = Array.isArray(merge) ? (merge as Array<string>) : String(merge).split(" ")
    const ids = [vocabulary.get(left), vocabulary.get(right), vocabulary.get(left + right)] as const
    if (ids[0] === undefined || ids[1] === undefined || ids[2] === undefined) {
      throw new Error(`the merge ${JSON.stringify([left, right])} is of tokens that the vocabulary lacks`)
    }
    // of equal pairs the last counts, as in the reference
    table.set(ids[0], ids[1], rank, ids[2])
  }
  return table
}

/** The ids of bytes, or undefined if the vocabulary lacks one: then none is used. */
const byteIds = (vocabulary: ReadonlyMap<string, number>): ReadonlyArray<number | undefined> =>
  Array.from({ length: 256 }, (_, byte) => vocabulary.get(hexByte(byte)))

class Bpe implements Model {
  readonly #vocabulary: ReadonlyMap<string, number>
  readonly #merges: Merges
  readonly #unknown: number | undefined
  readonly #fusesUnknown: boolean
  readonly #ignoresMerges: boolean
  readonly #suffix: string
  readonly #bytes: ReadonlyArray<number | undefined> | undefined
  readonly #encoder = new TextEncoder()
  #cache = new Map<string, ReadonlyArray<number>>()

  constructor(config: Config) {
    this.#vocabulary = new Map(Object.entries(config["vocab"] as { readonly [token: string]: number }))
    this.#merges = readMerges(this.#vocabulary, config["merges"] as ReadonlyArray<unknown>)
    const unknown = config["unk_token"]
    this.#unknown = typeof unknown === "string" ? this.#vocabulary.get(unknown) : undefined
    this.#fusesUnknown = config["fuse_unk"] === true
    this.#ignoresMerges = config["ignore_merges"] === true
    this.#suffix = typeof config["end_of_word_suffix"] === "string" ? config["end_of_word_suffix"] : ""
    this.#bytes = config["byte_fallback"] === true ? byteIds(this.#vocabulary) : undefined
  }

  /** The ids of a word's characters, before any merge. */
  *#symbols(word: string, out: Array<number>): Generator<void, void> {
    let isAfterUnknown = false
    let at = 0
    for (const char of word) {
      at += char.length
      if (at % symbolsOfStep === 0) yield
      const text = at === word.length ? char + this.#suffix : char
      const id = this.#vocabulary.get(text)
      if (id !== undefined) {
        out.push(id)
        isAfterUnknown = false
        continue
      }
      const bytes = this.#bytes === undefined ? undefined : this.#bytesOf(text)
      if (bytes !== undefined) {
        out.push(...bytes)
        isAfterUnknown = false
      } else if (this.#unknown !== undefined) {
        if (!isAfterUnknown || !this.#fusesUnknown) out.push(this.#unknown)
        isAfterUnknown = true
      }
    }
  }

  #bytesOf(text: string): ReadonlyArray<number> | undefined {
    const out: Array<number> = []
    for (const byte of this.#encoder.encode(text)) {
      const id = this.#bytes![byte]
      if (id === undefined) return undefined
      out.push(id)
    }
    return out
  }

  /** Merges few symbols in place: the heap would take longer than the looks at all pairs. */
  #mergeShort(ids: Array<number>): void {
    for (;;) {
      let best = -1
      let bestRank = Number.POSITIVE_INFINITY
      for (let i = 0; i + 1 < ids.length; i++) {
        const rank = this.#merges.rank(ids[i]!, ids[i + 1]!)
        if (rank !== -1 && rank < bestRank) {
          bestRank = rank
          best = i
        }
      }
      if (best === -1) return
      ids.splice(best, 2, this.#merges.merged(ids[best]!, ids[best + 1]!))
    }
  }

  *encode(word: string, out: Array<number>): Generator<void, void> {
    if (word.length > shortLength) return yield* this.#encodeLong(word, out)
    let ids = this.#cache.get(word)
    if (ids === undefined) {
      ids = this.#encodeShort(word)
      if (this.#cache.size >= cacheSize) this.#cache = new Map()
      this.#cache.set(word, ids)
    }
    for (const id of ids) out.push(id)
  }

  #encodeShort(word: string): ReadonlyArray<number> {
    const whole = this.#ignoresMerges ? this.#vocabulary.get(word) : undefined
    if (whole !== undefined) return [whole]
    const symbols: Array<number> = []
    runAtOnce(this.#symbols(word, symbols))
    this.#mergeShort(symbols)
    return symbols
  }

  *#encodeLong(word: string, out: Array<number>): Generator<void, void> {
    const whole = this.#ignoresMerges ? this.#vocabulary.get(word) : undefined
    if (whole !== undefined) {
      out.push(whole)
      return
    }
    const symbols: Array<number> = []
    yield* this.#symbols(word, symbols)
    if (symbols.length === 0) return
    const run = new MergeRun(symbols, this.#merges)
    yield* run.prepare(symbolsOfStep)
    while (run.step(mergesOfStep)) yield
    run.collect(out)
  }
}

/** @throws when the vocabulary is not one @internal */
export const make = (config: Config): Model => new Bpe(config)
