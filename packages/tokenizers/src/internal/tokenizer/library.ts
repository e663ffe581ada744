/**
 * The tokenizer of `@huggingface/tokenizers`, with types of our own: its declarations do not resolve under NodeNext. It
 * decodes, translates regular expressions, and has the models other than BPE.
 */
import * as huggingface from "@huggingface/tokenizers"
import type { LibraryModel } from "../encoding/make.ts"

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
}

/** What is used of the library's tokenizer. @internal */
export interface LibraryTokenizer {
  readonly decode: (
    tokens: Array<number>,
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean }
  ) => string
  readonly token_to_id: (token: string) => number | undefined
  readonly id_to_token: (id: number) => string | undefined
  readonly get_added_tokens_decoder: () => ReadonlyMap<number, AddedToken>
  readonly get_vocab: (withAddedTokens: boolean) => ReadonlyMap<string, number>
  readonly model: ((words: ReadonlyArray<string>) => ReadonlyArray<string>) & {
    readonly tokens_to_ids: ReadonlyMap<string, number>
    readonly unk_token_id: number | null | undefined
  }
}

const classes = huggingface as unknown as {
  readonly SplitPreTokenizer: new (config: object) => { readonly pattern: RegExp | null }
  readonly Tokenizer: new (tokenizer: object, config: object) => LibraryTokenizer
}

/** @internal */
export const modelOf = ({ model }: LibraryTokenizer): LibraryModel => ({
  tokensOf: (word) => model([word]),
  idOf: (token) => model.tokens_to_ids.get(token),
  unknown: model.unk_token_id
})

/** The regular expression of a pattern of `tokenizer.json`, which is one of Oniguruma. @internal */
export const makePattern = (pattern: unknown): RegExp => {
  const made = new classes.SplitPreTokenizer({ pattern, invert: true }).pattern
  if (made === null) throw new Error("a pattern is neither a string nor a regular expression")
  return made
}

/** @throws when the JSON is not a tokenizer that the library supports. @internal */
export const make = (tokenizer: object, config: object): LibraryTokenizer => new classes.Tokenizer(tokenizer, config)
