/**
 * Where examples differ from those of tinker-cookbook 0.6.1, and why. Each difference is deliberate: the cookbook departs
 * from the chat template of the model, loses what a record says, or refuses what can be read. One that is not in this list
 * fails the comparison, and so does another number of cases.
 */
import type * as Message from "@effect-tinker/cookbook/Message"

export interface Conversation {
  readonly messages: ReadonlyArray<Message.Message>
  readonly tools?: ReadonlyArray<Message.ToolSpec>
}

export interface Difference {
  readonly number: number
  readonly reason: string
  /** the number of examples that differ for this reason first, by renderer and vocabulary */
  readonly counts: { readonly [renderer: string]: number }
  /** whether it concerns a conversation; `qwen3` and so on are the first word of the keys of `counts` */
  readonly concerns: (conversation: Conversation, renderer: string) => boolean
}

type Part = { readonly type: string; readonly text?: string; readonly thinking?: string }

const partsOf = ({ content }: Message.Message): ReadonlyArray<Part> =>
  typeof content === "string" ? [{ type: "text", text: content }] : ((content ?? []) as ReadonlyArray<Part>)

const textOf = (message: Message.Message): string =>
  partsOf(message)
    .map(({ text = "" }) => text)
    .join("")

const reasons = (message: Message.Message): boolean => partsOf(message).some(({ type }) => type === "thinking")

const isAscii = (value: unknown): boolean => !/[\u0080-\uffff]/.test(JSON.stringify(value) ?? "")

const lastUser = ({ messages }: Conversation) => messages.findLastIndex(({ role }) => role === "user")

const hasTools = ({ messages, tools }: Conversation): boolean =>
  tools !== undefined || messages.some(({ role, tool_calls }) => role === "tool" || tool_calls !== undefined)

const strips = (renderer: string) => renderer === "qwen3" || renderer === "qwen3_disable_thinking"
const isQwen = (renderer: string) => renderer.startsWith("qwen3")

export const differences: ReadonlyArray<Difference> = [
  {
    number: 1,
    reason: "history loses its reasoning also where it stands in the text, as the template does",
    counts: { "qwen3 qwen3": 70, "qwen3_disable_thinking qwen3": 54 },
    concerns: ({ messages }, renderer) =>
      strips(renderer) &&
      messages.slice(0, -1).some((message) => message.role === "assistant" && textOf(message).includes("</think>"))
  },
  {
    number: 2,
    reason: "the reasoning of a turn that calls tools stays until the next message of the user, as in the template",
    counts: { "qwen3 qwen3": 70, "qwen3_disable_thinking qwen3": 60 },
    concerns: (conversation, renderer) =>
      strips(renderer) && conversation.messages.slice(lastUser(conversation) + 1, -1).some(reasons)
  },
  {
    number: 3,
    reason: "results of tools in a row are one message of the user, as in the template",
    counts: { "qwen3 qwen3": 70, "qwen3_disable_thinking qwen3": 60, "qwen3_instruct qwen3": 70 },
    concerns: ({ messages }, renderer) =>
      isQwen(renderer) && messages.some(({ role }, i) => role === "tool" && messages[i + 1]?.role === "tool")
  },
  {
    number: 4,
    reason: "a newline before the first call stands only after text, as in the template, and not after reasoning alone",
    counts: { "qwen3_instruct qwen3": 42 },
    concerns: ({ messages }, renderer) =>
      isQwen(renderer) &&
      messages.some((message) => message.tool_calls !== undefined && reasons(message) && textOf(message) === "")
  },
  {
    number: 5,
    reason: "tools and arguments keep characters beyond ASCII, as in the template",
    counts: { "qwen3 qwen3": 14, "qwen3_disable_thinking qwen3": 12, "qwen3_instruct qwen3": 14 },
    concerns: ({ messages, tools }, renderer) =>
      isQwen(renderer) && !(isAscii(tools) && messages.every(({ tool_calls }) => isAscii(tool_calls)))
  },
  {
    number: 6,
    reason: "a renderer that claims the extension property keeps reasoning in history",
    counts: { "qwen3_instruct qwen3": 77 },
    concerns: ({ messages }, renderer) => renderer === "qwen3_instruct" && messages.slice(0, -1).some(reasons)
  },
  {
    number: 7,
    reason: "tools are refused by formats without a form for them, and not left out",
    counts: { "role_colon llama3_1": 70, "role_colon gemma3": 70, "llama3 llama3_1": 70 },
    concerns: (conversation, renderer) => !isQwen(renderer) && hasTools(conversation)
  },
  {
    number: 8,
    reason: "content of several texts is read, and not refused",
    counts: { "role_colon llama3_1": 28, "role_colon gemma3": 28, "llama3 llama3_1": 28 },
    concerns: ({ messages }, renderer) => !isQwen(renderer) && messages.some((message) => partsOf(message).length > 1)
  },
  {
    number: 9,
    reason: "special tokens in content are ordinary text",
    counts: { "role_colon llama3_1": 49, "llama3 llama3_1": 49 },
    concerns: ({ messages }, renderer) =>
      !isQwen(renderer) && messages.some((message) => textOf(message).includes("<|"))
  },
  {
    number: 10,
    reason: "a conversation that ends with another than the assistant has no placeholder <UNUSED> at its end",
    counts: { "role_colon llama3_1": 70, "role_colon gemma3": 70 },
    concerns: ({ messages }, renderer) => renderer === "role_colon" && messages.at(-1)?.role !== "assistant"
  },
  {
    number: 11,
    reason: "a message with weight 0 has no weight",
    counts: {
      "role_colon llama3_1": 37,
      "role_colon gemma3": 37,
      "llama3 llama3_1": 37,
      "qwen3 qwen3": 37,
      "qwen3_disable_thinking qwen3": 37,
      "qwen3_instruct qwen3": 37
    },
    concerns: ({ messages }) => messages.some(({ weight }) => weight === 0)
  }
]
