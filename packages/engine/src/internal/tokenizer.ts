import { Tokenizer } from "@huggingface/tokenizers"

// the package's declarations do not resolve under NodeNext, so what is used of it is declared here
interface Decoder {
  readonly decode: (
    tokens: Array<number>,
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean }
  ) => string
}

const Decoder = Tokenizer as unknown as new (tokenizer: object, config: object) => Decoder

/** @throws when the JSON is not a tokenizer. @internal */
export const decoderOf = (tokenizer: unknown, config: unknown): ((tokens: ReadonlyArray<number>) => string) => {
  const decoder = new Decoder(tokenizer as object, config as object)
  return (tokens) =>
    tokens.length === 0
      ? ""
      : decoder.decode([...tokens], { skip_special_tokens: false, clean_up_tokenization_spaces: false })
}
