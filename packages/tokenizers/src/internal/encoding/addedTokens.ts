/** Finds added tokens, such as special ones, in a text. */

/** A token as `tokenizer.json` has it. @internal */
export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly single_word: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly normalized: boolean
  readonly special: boolean
}

/** A piece of text, the token that it is, or a sign that a while has passed. @internal */
export type Section =
  | { readonly type: "text"; readonly start: number; readonly end: number }
  | { readonly type: "token"; readonly id: number }
  | { readonly type: "tick" }

/** Whether a token in a place of the text counts as one. @internal */
export type Counts = (token: AddedToken, start: number, end: number) => boolean

interface Node {
  readonly next: Map<number, Node>
  token: AddedToken | undefined
}

const wordAtEnd = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u
const wordAtStart = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u

/** How many characters are looked at between ticks. */
const charactersOfTick = 50_000

/** @internal */
export class AddedTokens {
  readonly #root: Node = { next: new Map(), token: undefined }
  readonly isEmpty: boolean

  /** `contentOf` is the text that a token is found by */
  constructor(tokens: ReadonlyArray<AddedToken>, contentOf: (token: AddedToken) => string) {
    this.isEmpty = tokens.length === 0
    for (const token of tokens) {
      let node = this.#root
      const content = contentOf(token)
      if (content === "") continue
      for (let i = 0; i < content.length; i++) {
        const code = content.charCodeAt(i)
        const next = node.next.get(code) ?? { next: new Map<number, Node>(), token: undefined }
        node.next.set(code, next)
        node = next
      }
      node.token = token
    }
  }

  /** The longest token at a place, and its end. */
  #at(text: string, start: number): readonly [AddedToken, number] | undefined {
    let node = this.#root.next.get(text.charCodeAt(start))
    let found: readonly [AddedToken, number] | undefined
    for (let at = start + 1; node !== undefined; at++) {
      if (node.token !== undefined) found = [node.token, at]
      if (at >= text.length) break
      node = node.next.get(text.charCodeAt(at))
    }
    return found
  }

  /** The parts of a text, in order. A token that does not count, or is inside a word, is text. */
  *find(text: string, counts: Counts): Generator<Section, void> {
    let done = 0
    for (let at = 0, seen = 0; at < text.length; seen++) {
      if (seen % charactersOfTick === charactersOfTick - 1) yield { type: "tick" }
      const found = this.#at(text, at)
      if (found === undefined) {
        at++
        continue
      }
      const [token, end] = found
      const start = at
      at = end
      if (!counts(token, start, end) || (token.single_word && isInsideWord(text, start, end))) continue
      const from = Math.max(done, token.lstrip ? endOfText(text, start) : start)
      const to = token.rstrip ? startOfText(text, end) : end
      if (from > done) yield { type: "text", start: done, end: from }
      yield { type: "token", id: token.id }
      done = to
      at = Math.max(at, to)
    }
    if (done < text.length) yield { type: "text", start: done, end: text.length }
  }
}

const isInsideWord = (text: string, start: number, end: number): boolean =>
  wordAtEnd.test(text.slice(Math.max(0, start - 2), start)) || wordAtStart.test(text.slice(end, end + 2))

const isSpace = /\p{White_Space}/u

const endOfText = (text: string, start: number): number => {
  let at = start
  while (at > 0 && isSpace.test(text.charAt(at - 1))) at--
  return at
}

const startOfText = (text: string, end: number): number => {
  let at = end
  while (at < text.length && isSpace.test(text.charAt(at))) at++
  return at
}
