/** The types of a tokenizer and of its errors. `Tokenizer` exports them. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { optionalKey } from "../util/optionalKey.ts"

/**
 * No tokenizer could be made from a file, a directory or a value; `reason` says what to change.
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
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}

/**
 * Messages could not be rendered: there is no chat template, or it rejected them.
 *
 * @since 0.1.0
 * @category errors
 */
export class ChatTemplateError extends Schema.TaggedError<ChatTemplateError>(
  "@effect-tinker/tokenizers/Tokenizer/ChatTemplateError"
)("ChatTemplateError", {
  reason: Schema.String,
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return `the chat template ${this.reason}`
  }
}

/**
 * A token that marks something, such as the beginning of a text.
 *
 * @since 0.1.0
 * @category models
 */
export interface SpecialToken {
  readonly token: string
  readonly id: number
}

/**
 * A message of a conversation, as chat templates expect it. Beside `role` and `content` it has whatever fields the model's
 * template reads, such as `tool_calls` or `reasoning_content`.
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
 * How to render a conversation.
 *
 * @since 0.1.0
 * @category models
 */
export interface ChatOptions {
  /** append the beginning of the assistant's next message; false by default */
  readonly addGenerationPrompt?: boolean | undefined
  /** the functions that the model may call, as JSON schemas */
  readonly tools?: ReadonlyArray<unknown> | undefined
  /** for templates that support retrieval */
  readonly documents?: ReadonlyArray<unknown> | undefined
  /** a template to use instead of the tokenizer's, or the name of one of the tokenizer's */
  readonly template?: string | undefined
  /**
   * what special tokens in messages, tools, documents and variables are: ordinary "text", so that a user who writes
   * `<|im_end|>` does not end a turn (the default), or a "token"; it matters to `encodeChat` alone
   */
  readonly specialTokensInMessages?: "text" | "token" | undefined
  /** further variables of the template, such as `enable_thinking` */
  readonly variables?: { readonly [name: string]: unknown } | undefined
}

/**
 * How to encode a text.
 *
 * @since 0.1.0
 * @category models
 */
export interface EncodeOptions {
  /** add the special tokens that begin and end a text; true by default */
  readonly addSpecialTokens?: boolean | undefined
  /** take special tokens in the text for ordinary text, as in what a user wrote; false by default */
  readonly splitSpecialTokens?: boolean | undefined
}

/**
 * A part of a text, from and to offsets in UTF-16 units, as `String.slice` takes them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Span {
  readonly start: number
  readonly end: number
}

/**
 * A conversation as text, with what is known about its parts. Spans are in order and do not touch.
 *
 * @since 0.1.0
 * @category models
 */
export interface RenderedChat {
  readonly text: string
  /** what came from messages, tools, documents and variables, and not from the template */
  readonly data: ReadonlyArray<Span>
  /** what the template marks as the assistant's with `{% generation %}`; empty for templates that do not */
  readonly generation: ReadonlyArray<Span>
}

/**
 * A loaded tokenizer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * The token ids of a text. The special tokens that begin and end a text are added unless `addSpecialTokens` is false.
   * Special tokens that occur in the text are recognized, or taken for ordinary text if `splitSpecialTokens` is true.
   */
  readonly encode: (text: string, options?: EncodeOptions) => ReadonlyArray<number>
  /** the same as `encode`, with pauses in which timers and other fibers run: for texts of more than some 10,000 characters */
  readonly encodeInSteps: (text: string, options?: EncodeOptions) => Effect.Effect<ReadonlyArray<number>>
  /**
   * The text of token ids. Ids beyond the vocabulary are skipped; bytes that are not UTF-8 decode to U+FFFD. Special
   * tokens are included unless `skipSpecialTokens` is true.
   */
  readonly decode: (tokens: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }) => string
  readonly tokenToId: (token: string) => number | undefined
  /** in the spelling of the vocabulary, which differs from the text in byte-level vocabularies */
  readonly idToToken: (id: number) => string | undefined
  /** the number of tokens, including added ones; the model's vocabulary may be padded to more */
  readonly vocabSize: number
  /** begins a text */
  readonly bos: SpecialToken | undefined
  /** ends a text or a turn */
  readonly eos: SpecialToken | undefined
  readonly pad: SpecialToken | undefined
  readonly unk: SpecialToken | undefined
  /** all tokens that `skipSpecialTokens` skips, by id */
  readonly specialTokens: ReadonlyArray<SpecialToken>
  /** templates by name; the only template of a tokenizer is called `default` */
  readonly chatTemplates: { readonly [name: string]: string }
  /** renders a conversation to text */
  readonly applyChatTemplate: (
    messages: ReadonlyArray<Message>,
    options?: ChatOptions
  ) => Effect.Effect<string, ChatTemplateError>
  /** renders a conversation to text, with the parts that came from messages and those that the assistant generates */
  readonly renderChat: (
    messages: ReadonlyArray<Message>,
    options?: ChatOptions
  ) => Effect.Effect<RenderedChat, ChatTemplateError>
  /** renders a conversation to token ids: those of its text, without further special tokens */
  readonly encodeChat: (
    messages: ReadonlyArray<Message>,
    options?: ChatOptions
  ) => Effect.Effect<ReadonlyArray<number>, ChatTemplateError>
}

/**
 * The parsed contents of a tokenizer's files.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source {
  /** of `tokenizer.json` */
  readonly tokenizer: unknown
  /** of `tokenizer_config.json`: names of special tokens, the chat template */
  readonly config?: unknown
  /** of `special_tokens_map.json`, for special tokens that the config lacks */
  readonly specialTokensMap?: unknown
  /** of `chat_template.jinja`, which takes precedence over the config */
  readonly chatTemplate?: string | undefined
}
