/** Encodes texts, in steps: from added tokens over words to ids. */
import { type AddedToken, AddedTokens, type Counts } from "./addedTokens.ts"
import { Failure } from "../python/failure.ts"
import type { Model, Stage } from "./model.ts"
import type { Normalize } from "./normalizers.ts"
import type { Frame } from "./postProcessor.ts"

/** @internal */
export interface Parts {
  readonly addedTokens: ReadonlyArray<AddedToken>
  readonly normalize: Normalize | undefined
  readonly preTokenize: Stage
  readonly model: Model
  readonly frame: Frame
}

/** How many characters of words are encoded between ticks. */
const charactersOfTick = 4_000

/** What decides about special tokens in a text. @internal */
export interface Options {
  readonly addSpecialTokens: boolean
  /** whether a token in a place of the text counts as one */
  readonly counts: Counts
  /** whether the characters of a part all come from the template, or all from data */
  readonly isUniform: (start: number, end: number) => boolean
}

/** The ids so far, and how many characters were encoded since the last pause. */
interface State {
  readonly out: Array<number>
  readonly progress: { work: number }
}

/** @internal */
export class Encoder {
  readonly #parts: Parts
  /** found before the text is normalized, and after it */
  readonly #exact: AddedTokens
  readonly #normalized: AddedTokens

  constructor(parts: Parts) {
    this.#parts = parts
    const { addedTokens, normalize } = parts
    this.#exact = new AddedTokens(
      addedTokens.filter((token) => !token.normalized),
      (token) => token.content
    )
    this.#normalized = new AddedTokens(
      addedTokens.filter((token) => token.normalized),
      (token) => normalize?.(token.content) ?? token.content
    )
  }

  /** The ids of a text; it yields at least every few milliseconds. */
  *encode(text: string, options: Options): Generator<void, Array<number>> {
    const out: Array<number> = options.addSpecialTokens ? [...this.#parts.frame.before] : []
    const progress = { work: 0 }
    for (const section of this.#exact.find(text, options.counts)) {
      if (section.type === "token") out.push(section.id)
      else if (section.type === "tick") yield
      else yield* this.#section(text, section.start, section.end, options, { out, progress })
    }
    if (options.addSpecialTokens) out.push(...this.#parts.frame.after)
    return out
  }

  *#section(text: string, start: number, end: number, options: Options, state: State): Generator<void, void> {
    const given = text.slice(start, end)
    const normal = this.#parts.normalize?.(given) ?? given
    const countsHere: Counts = (token, from, to) => {
      if (normal === given) return options.counts(token, start + from, start + to)
      // the text was changed, so that it is not known which of its characters were where
      const counts = options.counts(token, start, end)
      if (counts || options.isUniform(start, end)) return counts
      throw new Failure(`cannot tell whether ${JSON.stringify(token.content)} is of the template or of a message`)
    }
    const sections = this.#normalized.isEmpty
      ? [{ type: "text", start: 0, end: normal.length } as const]
      : this.#normalized.find(normal, countsHere)
    for (const section of sections) {
      if (section.type === "token") state.out.push(section.id)
      else if (section.type === "tick") yield
      else yield* this.#words(normal.slice(section.start, section.end), start === 0 && section.start === 0, state)
    }
  }

  *#words(text: string, isStart: boolean, { out, progress }: State): Generator<void, void> {
    if (text === "") return
    for (const word of this.#parts.preTokenize(text, isStart)) {
      yield* this.#parts.model.encode(word, out)
      progress.work += word.length
      if (progress.work > charactersOfTick) {
        progress.work = 0
        yield
      }
    }
  }
}
