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

/** What decides which added tokens the library finds in a text. */
interface Splitting {
  readonly added_tokens_map: ReadonlyMap<string, AddedToken>
  readonly splitter_unnormalized: Splitter
  readonly splitter_normalized: Splitter
}

interface Splitter {
  readonly split: (text: string) => Array<string>
}

/** Text at which a special token was found, but that is text again. */
const joinText = (sections: ReadonlyArray<string>, isToken: (section: string) => boolean): Array<string> => {
  const joined: Array<string> = []
  let pending = ""
  for (const section of sections) {
    if (!isToken(section)) {
      pending += section
      continue
    }
    if (pending !== "") joined.push(pending)
    joined.push(section)
    pending = ""
  }
  if (pending !== "") joined.push(pending)
  return joined
}

/**
 * The tokenizer that takes special tokens in a text for ordinary text, over the same vocabulary. The library has no option
 * for it.
 *
 * @internal
 */
export const splittingSpecialTokens = (tokenizer: LibraryTokenizer): LibraryTokenizer => {
  const { added_tokens_map, splitter_normalized, splitter_unnormalized } = tokenizer as unknown as Splitting
  const found = new Map([...added_tokens_map].filter(([, { special }]) => !special))
  const restrict = (splitter: Splitter): Splitter => ({
    split: (text) => joinText(splitter.split(text), (section) => found.has(section))
  })
  return Object.assign(Object.create(tokenizer) as LibraryTokenizer, {
    added_tokens_map: found,
    splitter_normalized: restrict(splitter_normalized),
    splitter_unnormalized: restrict(splitter_unnormalized)
  })
}

/** @throws when the JSON is not a tokenizer that the library supports. @internal */
export const make = (tokenizer: object, config: object): LibraryTokenizer =>
  new (Tokenizer as unknown as new (tokenizer: object, config: object) => LibraryTokenizer)(tokenizer, config)
