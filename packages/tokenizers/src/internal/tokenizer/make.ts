/** Makes a tokenizer from the parsed contents of its files. */
import * as Effect from "effect/Effect"
import { spansOf } from "../chat/spans.ts"
import type { AddedToken } from "../encoding/addedTokens.ts"
import type { Encoder } from "../encoding/encoder.ts"
import { make as makeEncoder, withoutMerges } from "../encoding/make.ts"
import { Failure } from "../python/failure.ts"
import { origin } from "../python/text.ts"
import { messageOf } from "../util/causes.ts"
import { makeRenderer, type Renderer } from "./chat.ts"
import * as config from "./config.ts"
import * as encoding from "./encode.ts"
import * as library from "./library.ts"
import { ChatTemplateError, type Service, type Source, type SpecialToken, TokenizerError } from "./model.ts"

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

/** A control token by its form, such as `<|user|>` or DeepSeek's `<｜User｜>`, which is not marked as special. */
const hasControlForm = (content: string): boolean => /^<[|｜].*[|｜]>$/su.test(content)

/**
 * Whether a token in a message would be taken for structure: special tokens, and those of the form of control tokens that
 * the template writes itself. Others, such as `<think>`, are what models write.
 */
const isControlOf =
  (template: string) =>
  ({ content, special }: AddedToken): boolean =>
    special || (hasControlForm(content) && template.includes(content))

const encodeChat =
  (encoder: Encoder, render: Renderer): Service["encodeChat"] =>
  (messages, options) =>
    Effect.gen(function* () {
      const { template, text } = yield* render(messages, options)
      const isData = options?.specialTokensInMessages === "token"
      const data = isData ? [] : spansOf(text, origin.data)
      return yield* encoding
        .encodeRendered(encoder, text.text, data, isControlOf(template))
        .pipe(
          Effect.catchAllDefect((cause) =>
            cause instanceof Failure
              ? Effect.fail(new ChatTemplateError({ reason: `cannot be encoded: ${cause.message}`, cause }))
              : Effect.die(cause)
          )
        )
    })

const unsafeMake = (source: Source): Service => {
  const settings = config.mergeConfig(source)
  const contents = source.tokenizer as { readonly [key: string]: unknown }
  const tokenizer = library.make(config.isRecord(contents) ? withoutMerges(contents) : contents, settings)
  const encoder = makeEncoder(contents, library.modelOf(tokenizer), library.makePattern)
  const chatTemplates = config.chatTemplates(settings, source.chatTemplate)
  const render = makeRenderer(chatTemplates, config.templateTokens(settings))
  return {
    encode: (text, options) => encoding.encode(encoder, text, options),
    encodeInSteps: (text, options) => encoding.encodeInSteps(encoder, text, options),
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
      Effect.map(render(messages, options), ({ text }) => ({
        text: text.text,
        data: spansOf(text, origin.data),
        generation: spansOf(text, origin.generation)
      })),
    applyChatTemplate: (messages, options) => Effect.map(render(messages, options), ({ text }) => text.text),
    encodeChat: encodeChat(encoder, render)
  }
}

/** `path` names the source in an error. @internal */
export const make = (path: string, source: Source): Effect.Effect<Service, TokenizerError> =>
  Effect.try({
    try: () => unsafeMake(source),
    catch: (cause) => new TokenizerError({ path, reason: `is not a supported tokenizer (${messageOf(cause)})`, cause })
  })
