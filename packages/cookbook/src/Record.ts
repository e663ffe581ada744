/**
 * Records of training files, in the form that everything else takes: conversations, prompts with completions, pairs of a
 * chosen and a rejected answer, and texts. `Dataset.open` reads them from files of the formats that are in use.
 *
 * @since 0.1.0
 */
import type * as Message from "./Message.ts"

/**
 * The format of a file, by what its records look like.
 *
 * - `messages`: `{"messages": [{"role", "content"}]}`
 * - `openai`: the same with what OpenAI's fine-tuning files add: `tools`, `parallel_tool_calls`, a `weight` of messages
 * - `sharegpt`: `{"conversations": [{"from", "value"}]}`
 * - `alpaca`: `{"instruction", "input", "output"}`
 * - `prompt-completion`: `{"prompt", "completion"}`, both text or both messages
 * - `preference`: `{"prompt", "chosen", "rejected"}`, all text or messages; also `input`, `preferred_output` and
 *   `non_preferred_output` as OpenAI has them
 * - `text`: `{"text"}`, or the lines of a text file
 *
 * @since 0.1.0
 * @category models
 */
export type Format = (typeof formats)[number]

/**
 * The formats by their names.
 *
 * @since 0.1.0
 * @category constants
 */
export const formats = ["messages", "openai", "sharegpt", "alpaca", "prompt-completion", "preference", "text"] as const

/**
 * Which part a record belongs to, where the file says so. Those of `test` are held out from training.
 *
 * @since 0.1.0
 * @category models
 */
export type Split = "train" | "test" | undefined

/**
 * A conversation. `parallelToolCalls` is false where the file says that the model makes one call at a time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Conversation {
  readonly _tag: "Conversation"
  readonly messages: readonly [Message.Message, ...ReadonlyArray<Message.Message>]
  readonly tools?: ReadonlyArray<Message.ToolSpec> | null
  readonly parallelToolCalls?: boolean
}

/**
 * A text and what follows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface PromptCompletion {
  readonly _tag: "PromptCompletion"
  readonly prompt: string
  readonly completion: string
}

/**
 * Two answers to a prompt, of which the chosen one is better: as messages that follow those of the prompt, or as text.
 *
 * @since 0.1.0
 * @category models
 */
export interface Preference {
  readonly _tag: "Preference"
  readonly pair:
    | {
        readonly form: "messages"
        readonly prompt: ReadonlyArray<Message.Message>
        readonly chosen: ReadonlyArray<Message.Message>
        readonly rejected: ReadonlyArray<Message.Message>
        readonly tools?: ReadonlyArray<Message.ToolSpec> | null
      }
    | { readonly form: "text"; readonly prompt: string; readonly chosen: string; readonly rejected: string }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Text {
  readonly _tag: "Text"
  readonly text: string
}

/**
 * @since 0.1.0
 * @category models
 */
export type Record = Conversation | PromptCompletion | Preference | Text
