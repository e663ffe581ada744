/**
 * How texts and conversations become tokens of the service's base models, and tokens become texts again: what the service
 * needs besides its engine to speak the OpenAI protocol. `ChatFormats` of `@effect-tinker/cookbook` makes them from tokenizers
 * and renderers.
 *
 * @since 0.1.0
 */
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as OpenAi from "@effect-tinker/api/OpenAi"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A text, or a conversation, that a model has no form for. `path` is the field of the request.
 *
 * @since 0.1.0
 * @category errors
 */
export class FormatError extends Schema.TaggedError<FormatError>("@effect-tinker/server/TextFormats/FormatError")(
  "FormatError",
  { path: Schema.String, detail: Schema.String }
) {
  override get message(): string {
    return `${this.path}: ${this.detail}`
  }
}

/**
 * A piece of a response. Texts and reasoning of a response, joined, are its content; calls of tools are whole. What looks
 * like a call and is none comes as `Unparsed`, with its text.
 *
 * @since 0.1.0
 * @category models
 */
export type Piece =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Reasoning"; readonly text: string }
  | {
      readonly _tag: "ToolCall"
      readonly id: string | undefined
      readonly name: string
      /** JSON */
      readonly arguments: string
    }
  | { readonly _tag: "Unparsed"; readonly text: string; readonly reason: string }

/**
 * Reads a response token by token. No text ends in the middle of a character, or shows a part of a stop sequence.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reader {
  readonly push: (tokens: Iterable<number>) => ReadonlyArray<Piece>
  /** what was held back; call it once, last */
  readonly end: Effect.Effect<ReadonlyArray<Piece>>
}

/**
 * A tool that a model may call. The parameters are a JSON schema.
 *
 * @since 0.1.0
 * @category models
 */
export type Tool = NonNullable<OpenAi.ChatRequest["tools"]>[number]

/**
 * The formats of one base model.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextFormat {
  readonly encode: (text: string) => ReadonlyArray<number>
  readonly decode: (tokens: ReadonlyArray<number>) => string
  /** a reader for one completion of a text, which ends before any of the texts in `stop` */
  readonly reader: (stop: ReadonlyArray<string>) => Reader
  readonly chat: {
    /** what ends a message, besides the end of the text */
    readonly stop: ReadonlyArray<number> | ReadonlyArray<string>
    /** the prompt for the next message of the assistant */
    readonly prompt: (
      messages: ReadonlyArray<OpenAi.ChatMessage>,
      tools: ReadonlyArray<Tool>
    ) => Effect.Effect<ModelInput.ModelInput, FormatError>
    /** a reader for one message */
    readonly reader: (stop: ReadonlyArray<string>) => Reader
  }
}

/**
 * The formats of base models, by name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Fails for a model whose tokenizer cannot be had. `metadata` is the user metadata of the run that trained the checkpoint
   * which is asked for, where it is one: it may name a renderer.
   */
  readonly forModel: (
    baseModel: string,
    metadata?: { readonly [key: string]: unknown } | undefined
  ) => Effect.Effect<TextFormat, FormatError>
}
