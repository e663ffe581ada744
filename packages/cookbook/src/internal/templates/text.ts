/** The text of a rendered conversation as tokens: special tokens are those that the template wrote, not those in messages. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { append } from "../formats/append.ts"
import { encode as encodeText } from "../formats/attempt.ts"
import { plain } from "../formats/vocabulary.ts"

/** A conversation as text. @internal */
export type Chat = Tokenizer.RenderedChat

/** @internal */
export interface Vocabulary {
  readonly tokenizer: Tokenizer.Service
  /** all special tokens; the longest first */
  readonly pattern: RegExp | undefined
}

/** @internal */
export const vocabularyOf = (tokenizer: Tokenizer.Service): Vocabulary => {
  const names = tokenizer.specialTokens.map(({ token }) => token).sort((a, b) => b.length - a.length)
  const escaped = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
  return { tokenizer, pattern: names.length === 0 ? undefined : new RegExp(escaped.join("|"), "g") }
}

/** A special token in a text. @internal */
export interface Found extends Tokenizer.Span {
  readonly id: number
  /** whether the template wrote it */
  readonly isStructure: boolean
}

/** The special tokens between two offsets. @internal */
export const specialTokens = (
  { pattern, tokenizer }: Vocabulary,
  { data, text }: Chat,
  from: number,
  to: number
): ReadonlyArray<Found> => {
  if (pattern === undefined) return []
  return [...text.slice(from, to).matchAll(pattern)].flatMap((match) => {
    const start = from + match.index
    const end = start + match[0].length
    const id = tokenizer.tokenToId(match[0])
    const isStructure = !data.some((span) => span.start < end && span.end > start)
    return id === undefined ? [] : [{ start, end, id, isStructure }]
  })
}

/** The tokens between two offsets. @internal */
export const encode = (vocabulary: Vocabulary, chat: Chat, from: number, to: number): ReadonlyArray<number> => {
  if (from >= to) return []
  const { tokenizer } = vocabulary
  const found = specialTokens(vocabulary, chat, from, to)
  if (found.every(({ isStructure }) => isStructure)) {
    return encodeText(tokenizer, chat.text.slice(from, to), { addSpecialTokens: false })
  }
  const tokens: Array<number> = []
  let at = from
  for (const { end, id, start } of found.filter(({ isStructure }) => isStructure)) {
    append(tokens, plain(tokenizer, chat.text.slice(at, start)))
    tokens.push(id)
    at = end
  }
  return [...tokens, ...plain(tokenizer, chat.text.slice(at, to))]
}
