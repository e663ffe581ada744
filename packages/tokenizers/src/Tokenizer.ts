/**
 * Text to token ids and back, special tokens, and chat templates: what Hugging Face keeps in `tokenizer.json` and
 * `tokenizer_config.json`. Ids are those of the reference implementation.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as codec from "./internal/codec.ts"
import * as chatTemplate from "./internal/chatTemplate.ts"

/**
 * There is no tokenizer to be had from a file, a directory or a value; `reason` says what to change.
 *
 * @since 0.1.0
 * @category errors
 */
export class TokenizerError extends Schema.TaggedError<TokenizerError>(
  "@effect-tinker/tokenizers/Tokenizer/TokenizerError"
)("TokenizerError", {
  /** the file, directory or value at fault */
  path: Schema.String,
  reason: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}

/**
 * Messages could not be rendered: there is no template, or it refused them.
 *
 * @since 0.1.0
 * @category errors
 */
export class ChatTemplateError extends Schema.TaggedError<ChatTemplateError>(
  "@effect-tinker/tokenizers/Tokenizer/ChatTemplateError"
)("ChatTemplateError", {
  reason: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `the chat template ${this.reason}`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SpecialToken {
  readonly token: string
  readonly id: number
}

/**
 * A message of a conversation, as chat templates expect it: beside `role` and `content` whatever the model's own template
 * knows, such as `tool_calls` or `reasoning_content`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message {
  readonly role: string
  readonly content?: string | null | ReadonlyArray<{ readonly type: string; readonly [key: string]: unknown }>
  readonly [key: string]: unknown
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ChatOptions {
  /** end with the beginning of the assistant's next message; false by default */
  readonly addGenerationPrompt?: boolean | undefined
  /** what the model may call, as JSON schemas of functions */
  readonly tools?: ReadonlyArray<unknown> | undefined
  /** for templates that know of retrieval */
  readonly documents?: ReadonlyArray<unknown> | undefined
  /** the template in place of the tokenizer's, or the name of one where the tokenizer has several */
  readonly template?: string | undefined
  /** further variables of the template, such as `enable_thinking` */
  readonly variables?: { readonly [name: string]: unknown } | undefined
}

/**
 * A loaded tokenizer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * The tokens of a text. As everywhere in the field, the special tokens that begin and end a text are added unless
   * `addSpecialTokens` is false; special tokens that stand in the text are always taken for themselves.
   */
  readonly encode: (text: string, options?: { readonly addSpecialTokens?: boolean }) => ReadonlyArray<number>
  /**
   * The text of tokens. Ids beyond the vocabulary have none; bytes that are not UTF-8 read as U+FFFD. Special tokens are
   * part of it unless `skipSpecialTokens` is true.
   */
  readonly decode: (tokens: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }) => string
  readonly tokenToId: (token: string) => number | undefined
  /** as the vocabulary spells it, which for byte-level vocabularies is not the text */
  readonly idToToken: (id: number) => string | undefined
  /** the number of tokens, added ones included; the model's own vocabulary may be padded to more */
  readonly vocabSize: number
  /** begins a text */
  readonly bos: SpecialToken | undefined
  /** ends a text, or a turn */
  readonly eos: SpecialToken | undefined
  readonly pad: SpecialToken | undefined
  readonly unk: SpecialToken | undefined
  /** all tokens that `skipSpecialTokens` leaves out, by id */
  readonly specialTokens: ReadonlyArray<SpecialToken>
  /** templates by name; a tokenizer with only one calls it `default` */
  readonly chatTemplates: { readonly [name: string]: string }
  /** the text of a conversation */
  readonly applyChatTemplate: (
    messages: ReadonlyArray<Message>,
    options?: ChatOptions
  ) => Effect.Effect<string, ChatTemplateError>
  /** the tokens of a conversation: those of its text, to which nothing is added */
  readonly encodeChat: (
    messages: ReadonlyArray<Message>,
    options?: ChatOptions
  ) => Effect.Effect<ReadonlyArray<number>, ChatTemplateError>
}

/**
 * The tokenizer of a program's model.
 *
 * @since 0.1.0
 * @category tags
 */
export class Tokenizer extends Context.Tag("@effect-tinker/tokenizers/Tokenizer")<Tokenizer, Service>() {}

/**
 * What a tokenizer is made of: the parsed contents of its files.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source {
  /** of `tokenizer.json` */
  readonly tokenizer: unknown
  /** of `tokenizer_config.json`: names of special tokens, the chat template */
  readonly config?: unknown
  /** of `special_tokens_map.json`, for what the config does not say */
  readonly specialTokensMap?: unknown
  /** of `chat_template.jinja`, which wins over the config's */
  readonly chatTemplate?: string | undefined
}

const isRecord = (u: unknown): u is { readonly [key: string]: unknown } =>
  typeof u === "object" && u !== null && !Array.isArray(u)

// a name of a token, or the token as it was added
const tokenText = (u: unknown): string | undefined => {
  const content = isRecord(u) ? u["content"] : u
  return typeof content === "string" ? content : undefined
}

const templatesOf = (config: { readonly [key: string]: unknown }, file: string | undefined) => {
  const out: Record<string, string> = {}
  const held = config["chat_template"]
  if (typeof held === "string") out["default"] = held
  for (const each of Array.isArray(held) ? held : []) {
    if (isRecord(each) && typeof each["name"] === "string" && typeof each["template"] === "string") {
      out[each["name"]] = each["template"]
    }
  }
  if (file !== undefined) out["default"] = file
  return out
}

const unsafeMake = (source: Source): Service => {
  const config = {
    ...(isRecord(source.specialTokensMap) ? source.specialTokensMap : {}),
    ...(isRecord(source.config) ? source.config : {})
  }
  const made = codec.make(source.tokenizer as object, config)
  const special = (name: string): SpecialToken | undefined => {
    const token = tokenText(config[name])
    const id = token === undefined ? undefined : made.token_to_id(token)
    return token === undefined || id === undefined ? undefined : { token, id }
  }
  const chatTemplates = templatesOf(config, source.chatTemplate)
  // what templates know of special tokens: bos_token, eos_token, and a model's own, such as image_token
  const names: Record<string, string> = {}
  for (const [name, value] of Object.entries(config)) {
    const text = name.endsWith("_token") ? tokenText(value) : undefined
    if (text !== undefined) names[name] = text
  }
  const parsed = new Map<string, chatTemplate.Template>()
  const templateOf = (options: ChatOptions): string | undefined => {
    const { template, tools } = options
    if (template !== undefined) return Object.hasOwn(chatTemplates, template) ? chatTemplates[template] : template
    return (tools === undefined ? undefined : chatTemplates["tool_use"]) ?? chatTemplates["default"]
  }
  const encode: Service["encode"] = (text, options) =>
    made.encode(text, { add_special_tokens: options?.addSpecialTokens ?? true }).ids
  const applyChatTemplate: Service["applyChatTemplate"] = (messages, options = {}) =>
    Effect.gen(function* () {
      const text = templateOf(options)
      if (text === undefined) {
        return yield* new ChatTemplateError({
          reason: "is missing: this tokenizer has none, give one as the option `template`"
        })
      }
      const now = yield* Clock.currentTimeMillis
      const template =
        parsed.get(text) ??
        (yield* Effect.try({
          try: () => chatTemplate.parse(text),
          catch: (cause) => new ChatTemplateError({ reason: `cannot be read: ${reasonOf(cause)}`, cause })
        }))
      parsed.set(text, template)
      return yield* Effect.try({
        try: () =>
          template(now, {
            tools: null,
            documents: null,
            ...names,
            add_generation_prompt: options.addGenerationPrompt ?? false,
            messages,
            ...(options.tools === undefined ? {} : { tools: options.tools }),
            ...(options.documents === undefined ? {} : { documents: options.documents }),
            ...options.variables
          }),
        catch: (cause) => new ChatTemplateError({ reason: `refused the messages: ${reasonOf(cause)}`, cause })
      })
    })
  return {
    encode,
    decode: (tokens, options) => {
      // the library reads what it does not know as the unknown token, the reference as nothing
      const known = Array.from(tokens).filter((id) => made.id_to_token(id) !== undefined)
      return known.length === 0
        ? ""
        : made.decode(known, {
            skip_special_tokens: options?.skipSpecialTokens ?? false,
            clean_up_tokenization_spaces: false
          })
    },
    tokenToId: (token) => made.token_to_id(token),
    idToToken: (id) => made.id_to_token(id),
    get vocabSize() {
      return made.get_vocab(true).size
    },
    bos: special("bos_token"),
    eos: special("eos_token"),
    pad: special("pad_token"),
    unk: special("unk_token"),
    specialTokens: [...made.get_added_tokens_decoder().values()]
      .filter((token) => token.special)
      .map(({ content, id }) => ({ token: content, id }))
      .sort((a, b) => a.id - b.id),
    chatTemplates,
    applyChatTemplate,
    encodeChat: (messages, options) =>
      Effect.map(applyChatTemplate(messages, options), (text) => encode(text, { addSpecialTokens: false }))
  }
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/**
 * A tokenizer from values in memory. Making one of 150,000 tokens takes about half a second, during which the event loop
 * stands still.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (source: Source): Effect.Effect<Service, TokenizerError> => makeAt("tokenizer", source)

const makeAt = (path: string, source: Source): Effect.Effect<Service, TokenizerError> =>
  Effect.try({
    try: () => unsafeMake(source),
    catch: (cause) =>
      new TokenizerError({ path, reason: `is not a tokenizer that can be read (${reasonOf(cause)})`, cause })
  })

const readText = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* fs
      .readFileString(path)
      .pipe(Effect.mapError((cause) => new TokenizerError({ path, reason: "cannot be read", cause })))
  })

const readJson = (path: string) =>
  Effect.flatMap(readText(path), (text) =>
    Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: (cause) => new TokenizerError({ path, reason: "is not JSON", cause })
    })
  )

const optionally = <A, E, R>(path: string, read: (path: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* Effect.orElseSucceed(fs.exists(path), () => false)
    return exists ? yield* read(path) : undefined
  })

/**
 * A tokenizer from a `tokenizer.json` alone, wherever it lies. It has neither names for its special tokens nor a chat
 * template, unless `config` gives them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromFile = Effect.fn("Tokenizer.fromFile")(function* (
  file: string,
  options: Omit<Source, "tokenizer"> = {}
) {
  return yield* makeAt(file, { ...options, tokenizer: yield* readJson(file) })
})

/**
 * The tokenizer of a model's directory as Hugging Face keeps it: `tokenizer.json`, and where they are there
 * `tokenizer_config.json`, `special_tokens_map.json` and `chat_template.jinja` (or the older `chat_template.json`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDirectory = Effect.fn("Tokenizer.fromDirectory")(function* (directory: string) {
  const { join } = yield* Path.Path
  const file = join(directory, "tokenizer.json")
  const tokenizer = yield* readJson(file)
  const jinja = yield* optionally(join(directory, "chat_template.jinja"), readText)
  const json = jinja === undefined ? yield* optionally(join(directory, "chat_template.json"), readJson) : undefined
  const fromJson = isRecord(json) && typeof json["chat_template"] === "string" ? json["chat_template"] : undefined
  return yield* makeAt(file, {
    tokenizer,
    config: yield* optionally(join(directory, "tokenizer_config.json"), readJson),
    specialTokensMap: yield* optionally(join(directory, "special_tokens_map.json"), readJson),
    chatTemplate: jinja ?? fromJson
  })
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (source: Source): Layer.Layer<Tokenizer, TokenizerError> => Layer.effect(Tokenizer, make(source))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerFile = (
  file: string,
  options?: Omit<Source, "tokenizer">
): Layer.Layer<Tokenizer, TokenizerError, FileSystem.FileSystem> => Layer.effect(Tokenizer, fromFile(file, options))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerDirectory = (
  directory: string
): Layer.Layer<Tokenizer, TokenizerError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(Tokenizer, fromDirectory(directory))
