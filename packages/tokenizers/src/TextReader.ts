/**
 * The text of a response that arrives token by token. It shows no half of a character, and nothing that may turn out to be
 * the beginning of a stop sequence. What it returns, joined, is the text of all tokens up to
 * the stop sequence that is complete first, at which a model that generates the tokens would have stopped too.
 *
 * ```ts
 * const reader = TextReader.make((tokens) => tokenizer.decode(tokens, { skipSpecialTokens: true }), { stop: ["\n"] })
 * const text = reader.push([220, 17]) + reader.push([18]) + reader.end()
 * ```
 *
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 * @category models
 */
export interface TextReader {
  /** the text that these tokens complete; empty once a stop sequence was found */
  readonly push: (tokens: Iterable<number>) => string
  /** what was held back; call it once, last */
  readonly end: () => string
  /** whether a stop sequence was found: what follows it is dropped */
  readonly isStopped: () => boolean
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** texts before which the response ends */
  readonly stop?: ReadonlyArray<string> | undefined
}

/** What stands for bytes that are no character, or not yet. */
const replacement = "\ufffd"

/** So many bytes of a character may be there without the last one. */
const maxPartial = 3

/** A response of so many tokens without a complete character is not text: it is shown as it is. */
const maxPending = 64

/** How much of a text no later token can change. */
const stableLength = (text: string): number => {
  let end = text.length
  while (end > 0 && text.length - end < maxPartial && text[end - 1] === replacement) end--
  return end
}

/** Decodes tokens with those before them, since some vocabularies decode the first token of a text in another way. */
class Decoder {
  private readonly decode: (tokens: ReadonlyArray<number>) => string
  private context: ReadonlyArray<number> = []
  private contextText = ""
  private pending: Array<number> = []
  /** how much of the text of `pending` was returned */
  private shown = 0

  constructor(decode: (tokens: ReadonlyArray<number>) => string) {
    this.decode = decode
  }

  push(token: number): string {
    this.pending.push(token)
    const text = this.decode([...this.context, ...this.pending]).slice(this.contextText.length)
    const end = this.pending.length >= maxPending ? text.length : Math.max(stableLength(text), this.shown)
    const piece = text.slice(this.shown, end)
    if (end < text.length) {
      this.shown = end
      return piece
    }
    // tokens without text, such as special ones, stay with what follows
    if (text === "") return ""
    this.context = this.pending
    this.contextText = this.decode(this.context)
    this.pending = []
    this.shown = 0
    return piece
  }

  end(): string {
    return this.decode([...this.context, ...this.pending]).slice(this.contextText.length + this.shown)
  }
}

/** How many characters at the end of a text may begin one of the sequences. */
const heldBack = (text: string, stop: ReadonlyArray<string>): number => {
  let held = 0
  for (const sequence of stop) {
    for (let length = Math.min(text.length, sequence.length - 1); length > held; length--) {
      if (text.endsWith(sequence.slice(0, length))) held = length
    }
  }
  return held
}

/** Where the stop sequence begins that is complete first; of several the longest. -1 if there is none. */
const firstStop = (text: string, stop: ReadonlyArray<string>): number => {
  let [first, firstEnd] = [-1, Infinity]
  for (const sequence of stop) {
    const at = text.indexOf(sequence)
    const end = at + sequence.length
    if (at >= 0 && (end < firstEnd || (end === firstEnd && at < first))) [first, firstEnd] = [at, end]
  }
  return first
}

/**
 * Ends a text before its first stop sequence, piece by piece: the reader of a text that is no longer in tokens.
 *
 * @since 0.1.0
 * @category models
 */
export interface StopReader {
  readonly push: (text: string) => string
  readonly end: () => string
  readonly isStopped: () => boolean
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const makeStop = ({ stop: given = [] }: Options = {}): StopReader => {
  const stop = given.filter((sequence) => sequence !== "")
  let held = ""
  let isStopped = false
  return {
    push: (piece) => {
      if (isStopped) return ""
      const text = held + piece
      const at = firstStop(text, stop)
      isStopped = at >= 0
      const end = isStopped ? at : text.length - heldBack(text, stop)
      held = isStopped ? "" : text.slice(end)
      return text.slice(0, end)
    },
    end: () => {
      const rest = held
      held = ""
      return rest
    },
    isStopped: () => isStopped
  }
}

/**
 * A reader for one response. `decode` is the tokenizer's.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (decode: (tokens: ReadonlyArray<number>) => string, options: Options = {}): TextReader => {
  const decoder = new Decoder(decode)
  const reader = makeStop(options)
  return {
    push: (tokens) => {
      let text = ""
      for (const token of tokens) if (!reader.isStopped()) text += reader.push(decoder.push(token))
      return text
    },
    end: () => (reader.isStopped() ? "" : reader.push(decoder.end()) + reader.end()),
    isStopped: reader.isStopped
  }
}
