/** What a format needs of a tokenizer: texts as they stand, and the ids of its special tokens. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { refuse } from "./turns.ts"

/** The tokens of a text, in which special tokens are ordinary text: no content can end a turn. @internal */
export const plain = (tokenizer: Tokenizer.Service, text: string): ReadonlyArray<number> =>
  text === "" ? [] : tokenizer.encode(text, { addSpecialTokens: false, splitSpecialTokens: true })

/** @throws RendererError when the tokenizer has no such token. @internal */
export const specialToken = (renderer: string, tokenizer: Tokenizer.Service, token: string): number => {
  const id = tokenizer.tokenToId(token)
  if (id !== undefined) return id
  throw refuse(renderer, "UnsupportedTokenizer", `needs the token ${token}, which this tokenizer does not have`)
}
