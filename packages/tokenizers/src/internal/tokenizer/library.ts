/** The tokenizer of `@huggingface/tokenizers`, with types of our own: its declarations do not resolve under NodeNext. */
import { Tokenizer } from "@huggingface/tokenizers"

interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
}

/** What is used of the library's tokenizer. @internal */
export interface LibraryTokenizer {
  readonly encode: (text: string, options: { readonly add_special_tokens: boolean }) => { readonly ids: Array<number> }
  readonly decode: (
    tokens: Array<number>,
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean }
  ) => string
  readonly token_to_id: (token: string) => number | undefined
  readonly id_to_token: (id: number) => string | undefined
  readonly get_added_tokens_decoder: () => ReadonlyMap<number, AddedToken>
  readonly get_vocab: (withAddedTokens: boolean) => ReadonlyMap<string, number>
}

/** @throws when the JSON is not a tokenizer that the library supports. @internal */
export const make = (tokenizer: object, config: object): LibraryTokenizer =>
  new (Tokenizer as unknown as new (tokenizer: object, config: object) => LibraryTokenizer)(tokenizer, config)
