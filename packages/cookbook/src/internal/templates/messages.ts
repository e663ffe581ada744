/** Messages in the form that chat templates read, and what a template would leave out. */
import * as Json from "@effect-tinker/tokenizers/Json"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import type * as Message from "../../Message.ts"
import type { Conversation } from "../formats/model.ts"
import { type Call, read, refuse, textOf, type Turn } from "../formats/turns.ts"

/** A template that is not given a name. */
const mentions = (template: string, ...words: ReadonlyArray<string>) => words.some((word) => template.includes(word))

/** The reasoning of a turn; several parts of it are one. */
const reasoningOf = ({ parts }: Turn): string =>
  parts.flatMap((part) => (part.type === "thinking" ? [part.thinking] : [])).join("\n")

const jsonOf = (call: Call): ReadonlyArray<unknown> => {
  if (!("json" in call)) return []
  const parsed = Json.parse(call.json)
  return parsed._tag === "Right" ? [{ type: "function", function: parsed.right }] : []
}

/** The text, and behind it what was meant to be a call. */
const contentOf = (turn: Turn): string =>
  [textOf(turn), ...turn.calls.flatMap((call) => ("raw_text" in call ? [call.raw_text] : []))]
    .filter((text) => text !== "")
    .join("\n")

const convert = (message: Message.Message, turn: Turn): Tokenizer.Message => {
  const { reasoning: _1, thinking: _2, reasoning_content: _3, tool_calls: ids, function_call: _4, ...rest } = message
  const { trainable: _5, unparsed_tool_calls: _6, weight: _7, ...kept } = rest
  const reasoning = reasoningOf(turn)
  const calls = turn.calls.flatMap(jsonOf).map((call, i) => {
    const id = ids?.[i]?.["id"]
    return typeof id === "string" ? { id, ...(call as object) } : call
  })
  return {
    ...kept,
    content: contentOf(turn),
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls })
  }
}

/** Refuses what the template does not mention, and so would leave out. */
const checkMentioned = (name: string, template: string, turn: Turn): void => {
  const path = `messages.${turn.index}`
  if (reasoningOf(turn) !== "" && !mentions(template, "reasoning_content")) {
    throw refuse(
      name,
      "UnsupportedContent",
      "has no form for reasoning: the template does not read reasoning_content",
      path
    )
  }
  if (turn.calls.some((call) => "json" in call) && !mentions(template, "tool_calls")) {
    throw refuse(name, "UnsupportedTools", "has no form for tool calls: the template does not read tool_calls", path)
  }
}

/** A conversation for a template, with the turns of its messages. @internal */
export interface TemplateInput {
  readonly turns: ReadonlyArray<Turn>
  readonly messages: ReadonlyArray<Tokenizer.Message>
  readonly tools: ReadonlyArray<unknown> | undefined
}

/** @throws RendererError when the template would leave something out. @internal */
export const inputOf = (name: string, template: string, { messages, tools }: Conversation): TemplateInput => {
  const turns = read({ name, tools: true, thinking: true }, messages)
  for (const turn of turns) checkMentioned(name, template, turn)
  const declared = tools === null || tools?.length === 0 ? undefined : tools
  if (declared !== undefined && !mentions(template, "tools")) {
    throw refuse(
      name,
      "UnsupportedTools",
      "has no form for tools: the template does not read them. Choose a renderer that has, such as qwen3_instruct",
      "tools"
    )
  }
  return {
    turns,
    messages: messages.map((message, i) => convert(message, turns[i]!)),
    tools: declared?.map((tool) => ("function" in tool ? tool : { type: "function", function: tool }))
  }
}
