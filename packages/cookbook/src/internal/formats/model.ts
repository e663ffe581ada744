/** The types of renderers and of their errors. `Renderer` exports them. */
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Message from "../../Message.ts"
import { optionalKey } from "../effect/optionalKey.ts"

/**
 * A renderer cannot do what was asked without changing what is trained or said. `reason` is the kind:
 *
 * - `UnsupportedContent`: a part of a message, such as an image, has no form in this format
 * - `UnsupportedTools`: the format has no form for tools
 * - `UnsupportedMode`: the format rewrites earlier messages, so that the mode has no exact example
 * - `InvalidConversation`: a message contradicts the mode, or itself
 * - `UnexpectedReasoning`: a message reasons after a prompt that turns reasoning off
 * - `NoUserMessage`: the format has no prompt for a turn that no message of a user precedes
 * - `UnsupportedTokenizer`: the tokenizer lacks a token or a template that the format needs
 * - `Template`: the chat template rejected the messages
 * - `WrongStopTokens`: a response has several stop tokens, so that it was sampled with others
 *
 * @since 0.1.0
 * @category errors
 */
export class RendererError extends Schema.TaggedError<RendererError>("@effect-tinker/cookbook/Renderer/RendererError")(
  "RendererError",
  {
    renderer: Schema.String,
    reason: Schema.Literal(
      "UnsupportedContent",
      "UnsupportedTools",
      "UnsupportedMode",
      "InvalidConversation",
      "UnexpectedReasoning",
      "NoUserMessage",
      "UnsupportedTokenizer",
      "Template",
      "WrongStopTokens"
    ),
    /** the field at fault, such as `messages.2.content.0` */
    path: optionalKey(Schema.String),
    detail: Schema.String,
    cause: optionalKey(Schema.Defect)
  }
) {
  override get message(): string {
    return `${this.path === undefined ? "" : `${this.path}: `}the renderer ${this.renderer} ${this.detail}`
  }
}

/**
 * What of a conversation is trained:
 *
 * - `last_assistant_message`: the last message, if it is the assistant's
 * - `last_assistant_turn`: what the assistant says after the last message of the user
 * - `all_assistant_messages`
 * - `all_messages`: what is said, without the headers
 * - `all_tokens`: everything but the token that begins a text
 * - `all_user_and_system_messages`
 * - `customized`: the messages with `trainable: true`; each message must say it
 *
 * @since 0.1.0
 * @category schemas
 */
export const TrainOn = Schema.Literal(
  "last_assistant_message",
  "last_assistant_turn",
  "all_assistant_messages",
  "all_messages",
  "all_tokens",
  "all_user_and_system_messages",
  "customized"
)

/**
 * @since 0.1.0
 * @category models
 */
export type TrainOn = typeof TrainOn.Type

/**
 * Tokens with the weight of each in the loss, before the shift by one that makes a datum.
 *
 * @since 0.1.0
 * @category models
 */
export interface SupervisedExample {
  readonly input: ModelInput.ModelInput
  /** one for each position of the input */
  readonly weights: Float32Array
}

/**
 * How a response ended: with the renderer's stop sequence, with the end of the text, or with neither.
 *
 * @since 0.1.0
 * @category models
 */
export type Termination = "stop_sequence" | "eos" | "malformed"

/**
 * Why a response is not what was asked for. A structural failure is in its framing, and the conversation cannot go on. A
 * failure of content, such as a tool call that is not JSON, leaves a conversation in which the model can be asked again.
 * `detail` has at most 16,384 characters.
 *
 * @since 0.1.0
 * @category models
 */
export interface ParseFailure {
  readonly kind: "structural" | "content"
  readonly detail: string
}

/**
 * A response as a message. There is a message, as good as can be, even if the response failed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parsed {
  readonly message: Message.Message
  readonly termination: Termination
  readonly failure: ParseFailure | undefined
}

/**
 * A piece of a response in the order of its arrival: first a header, then text, reasoning and tool calls, and last the
 * whole. The texts of one `index`, joined, are one part of the message.
 *
 * @since 0.1.0
 * @category models
 */
export type Delta =
  | { readonly _tag: "Header"; readonly role: string }
  | { readonly _tag: "Text"; readonly text: string; readonly index: number }
  | { readonly _tag: "Thinking"; readonly thinking: string; readonly index: number }
  | { readonly _tag: "ToolCall"; readonly call: Message.ToolCall }
  | { readonly _tag: "UnparsedToolCall"; readonly call: Message.UnparsedToolCall }
  | { readonly _tag: "Final"; readonly parsed: Parsed }

/**
 * Reads a response token by token. It holds back what may belong to a tag or to a character that is not complete.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamingParser {
  readonly push: (token: number) => ReadonlyArray<Delta>
  /** what was held back, and the whole; call it once, last */
  readonly finish: Effect.Effect<ReadonlyArray<Delta>, RendererError>
}

/**
 * How to render a prompt.
 *
 * @since 0.1.0
 * @category models
 */
export interface PromptOptions {
  /** the functions that the model may call */
  readonly tools?: ReadonlyArray<Message.ToolSpec> | null | undefined
  /** whose message comes next; `assistant` by default */
  readonly role?: string | undefined
  /** how that message begins, as text; the model continues it */
  readonly prefill?: string | undefined
}

/**
 * What a renderer needs of a conversation.
 *
 * @since 0.1.0
 * @category models
 */
export interface Conversation {
  readonly messages: ReadonlyArray<Message.Message>
  readonly tools?: ReadonlyArray<Message.ToolSpec> | null | undefined
}

/**
 * A renderer: conversations to tokens with weights, and responses to messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly name: string
  /**
   * Whether the prompt of each turn begins with the prompt and the response of the turn before it. If so, one example can
   * train all turns of a conversation.
   */
  readonly hasExtensionProperty: boolean
  /** token ids or texts that end a response */
  readonly stop: ReadonlyArray<number> | ReadonlyArray<string>
  /** the prompt for the next message */
  readonly generationPrompt: (
    messages: ReadonlyArray<Message.Message>,
    options?: PromptOptions
  ) => Effect.Effect<ModelInput.ModelInput, RendererError>
  /**
   * The conversation as one example. If the format rewrites earlier messages, those read otherwise than in the prompts that
   * they answered: use `examples`.
   */
  readonly example: (conversation: Conversation, trainOn: TrainOn) => Effect.Effect<SupervisedExample, RendererError>
  /**
   * The conversation as the examples that are exact: one if the format has the extension property, else one for each trained
   * message of the assistant. None if nothing is trained.
   */
  readonly examples: (
    conversation: Conversation,
    trainOn: TrainOn
  ) => Effect.Effect<ReadonlyArray<SupervisedExample>, RendererError>
  /** the message of a response */
  readonly parse: (response: ArrayLike<number>) => Effect.Effect<Parsed, RendererError>
  /** a parser for one response */
  readonly streamingParser: () => StreamingParser
}
