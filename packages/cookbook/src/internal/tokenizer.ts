import { Tokenizer } from "@huggingface/tokenizers"

// the package's declarations do not resolve under NodeNext, so what is used of it is declared here
interface Codec {
  readonly encode: (text: string, options: { readonly add_special_tokens: boolean }) => { readonly ids: Array<number> }
  readonly decode: (
    tokens: Array<number>,
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean }
  ) => string
}

const Codec = Tokenizer as unknown as new (tokenizer: object, config: object) => Codec

/** @throws when the JSON is not a tokenizer. @internal */
export const make = (tokenizer: unknown, config: unknown) => {
  const codec = new Codec(tokenizer as object, config as object)
  return {
    encode: (text: string): ReadonlyArray<number> =>
      text === "" ? [] : codec.encode(text, { add_special_tokens: false }).ids,
    decode: (tokens: ArrayLike<number>): string =>
      tokens.length === 0
        ? ""
        : codec.decode(Array.from(tokens), { skip_special_tokens: false, clean_up_tokenization_spaces: false })
  }
}
