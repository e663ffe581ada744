/** Makes a tokenizer from the parsed contents of its files. */
import * as Effect from "effect/Effect"
import { spansOf } from "../chat/spans.ts"
import { origin } from "../python/text.ts"
import { messageOf } from "../util/causes.ts"
import { makeRenderer } from "./chat.ts"
import * as config from "./config.ts"
import * as library from "./library.ts"
import { type Service, type Source, type SpecialToken, TokenizerError } from "./model.ts"

const specialToken = (
  tokenizer: library.LibraryTokenizer,
  settings: config.TokenizerConfig,
  name: string
): SpecialToken | undefined => {
  const token = config.tokenText(settings[name])
  const id = token === undefined ? undefined : tokenizer.token_to_id(token)
  return token === undefined || id === undefined ? undefined : { token, id }
}

const specialTokens = (tokenizer: library.LibraryTokenizer): ReadonlyArray<SpecialToken> =>
  [...tokenizer.get_added_tokens_decoder().values()]
    .filter((token) => token.special)
    .map(({ content, id }) => ({ token: content, id }))
    .sort((a, b) => a.id - b.id)

const decode =
  (tokenizer: library.LibraryTokenizer): Service["decode"] =>
  (tokens, options) => {
    // The library decodes unknown ids to the unknown token; the reference implementation skips them.
    const known = Array.from(tokens).filter((id) => tokenizer.id_to_token(id) !== undefined)
    if (known.length === 0) return ""
    return tokenizer.decode(known, {
      skip_special_tokens: options?.skipSpecialTokens ?? false,
      clean_up_tokenization_spaces: false
    })
  }

const unsafeMake = (source: Source): Service => {
  const settings = config.mergeConfig(source)
  const tokenizer = library.make(source.tokenizer as object, settings)
  const chatTemplates = config.chatTemplates(settings, source.chatTemplate)
  const render = makeRenderer(chatTemplates, config.templateTokens(settings))
  const splitting = library.splittingSpecialTokens(tokenizer)
  const encode: Service["encode"] = (text, options) =>
    (options?.splitSpecialTokens === true ? splitting : tokenizer).encode(text, {
      add_special_tokens: options?.addSpecialTokens ?? true
    }).ids
  return {
    encode,
    decode: decode(tokenizer),
    tokenToId: (token) => tokenizer.token_to_id(token),
    idToToken: (id) => tokenizer.id_to_token(id),
    get vocabSize() {
      return tokenizer.get_vocab(true).size
    },
    bos: specialToken(tokenizer, settings, "bos_token"),
    eos: specialToken(tokenizer, settings, "eos_token"),
    pad: specialToken(tokenizer, settings, "pad_token"),
    unk: specialToken(tokenizer, settings, "unk_token"),
    specialTokens: specialTokens(tokenizer),
    chatTemplates,
    renderChat: (messages, options) =>
      Effect.map(render(messages, options), (text) => ({
        text: text.text,
        data: spansOf(text, origin.data),
        generation: spansOf(text, origin.generation)
      })),
    applyChatTemplate: (messages, options) => Effect.map(render(messages, options), ({ text }) => text),
    encodeChat: (messages, options) =>
      Effect.map(render(messages, options), ({ text }) => encode(text, { addSpecialTokens: false }))
  }
}

/** `path` names the source in an error. @internal */
export const make = (path: string, source: Source): Effect.Effect<Service, TokenizerError> =>
  Effect.try({
    try: () => unsafeMake(source),
    catch: (cause) => new TokenizerError({ path, reason: `is not a supported tokenizer (${messageOf(cause)})`, cause })
  })
