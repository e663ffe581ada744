/** What a format needs of a tokenizer: texts as they stand, and the ids of its special tokens. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { encode } from "./attempt.ts"
import { refuse } from "./turns.ts"

/** The tokens of a text, in which special tokens are ordinary text: no content can end a turn. @internal */
export const plain = (tokenizer: Tokenizer.Service, text: string): ReadonlyArray<number> =>
  text === "" ? [] : encode(tokenizer, text, { addSpecialTokens: false, splitSpecialTokens: true })

/** How many texts keep their tokens. */
const most = 256

/**
 * `plain`, which keeps the tokens of the last texts: where a format rewrites history, the messages of a conversation are
 * encoded again for each of its examples.
 *
 * @internal
 */
export const makeEncoder = (tokenizer: Tokenizer.Service): ((text: string) => ReadonlyArray<number>) => {
  const known = new Map<string, ReadonlyArray<number>>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const tokens = plain(tokenizer, text)
    known.set(text, tokens)
    if (known.size > most) known.delete(known.keys().next().value!)
    return tokens
  }
}

/** @throws RendererError when the tokenizer has no such token. @internal */
export const specialToken = (renderer: string, tokenizer: Tokenizer.Service, token: string): number => {
  const id = tokenizer.tokenToId(token)
  if (id !== undefined) return id
  throw refuse(renderer, "UnsupportedTokenizer", `needs the token ${token}, which this tokenizer does not have`)
}
