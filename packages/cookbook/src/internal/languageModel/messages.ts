/** The prompts and tools of @effect/ai as the messages and tools of renderers. */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import * as Tool from "@effect/ai/Tool"
import * as JSONSchema from "effect/JSONSchema"
import type * as Message from "../../Message.ts"

/** A part of a prompt that has no form as text. @internal */
export class UnsupportedPart extends Error {}

const textOf = (part: Prompt.Part): string => {
  if (part.type === "text") return part.text
  throw new UnsupportedPart(`a part of type ${part.type} is not text`)
}

const resultText = ({ result }: Prompt.ToolResultPart): string =>
  typeof result === "string" ? result : (JSON.stringify(result) ?? "null")

const assistant = ({ content }: Prompt.AssistantMessage): Message.Message => {
  const parts = content.flatMap((part): ReadonlyArray<Message.ContentPart> => {
    if (part.type === "text") return [{ type: "text", text: part.text }]
    return part.type === "reasoning" ? [{ type: "thinking", thinking: part.text }] : []
  })
  const tool_calls = content.flatMap((part) =>
    part.type === "tool-call"
      ? [{ id: part.id, type: "function", function: { name: part.name, arguments: part.params as never } }]
      : []
  )
  const file = content.find(({ type }) => type === "file")
  if (file !== undefined) throw new UnsupportedPart("a file in a message of the assistant is not text")
  return { role: "assistant", content: parts, ...(tool_calls.length === 0 ? {} : { tool_calls }) }
}

const toMessages = (message: Prompt.Message): ReadonlyArray<Message.Message> => {
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content }]
    case "user":
      return [{ role: "user", content: message.content.map(textOf).join("") }]
    case "assistant":
      return [assistant(message)]
    case "tool":
      return message.content.map((part) => ({
        role: "tool",
        tool_call_id: part.id,
        name: part.name,
        content: resultText(part)
      }))
  }
}

type Format = LanguageModel.ProviderOptions["responseFormat"]

/** @internal */
export const jsonSchemaOf = ({ schema }: Format & { readonly type: "json" }): object => JSONSchema.make(schema)

/** What asks the model for an object, which not every service forces. */
const instructions = (format: Format & { readonly type: "json" }): string =>
  "Answer with one JSON value that matches this JSON schema, and with nothing else:\n" +
  JSON.stringify(jsonSchemaOf(format))

/** Adds the instructions to the message of the system, which is the first. */
const withInstructions = (messages: ReadonlyArray<Message.Message>, format: Format): ReadonlyArray<Message.Message> => {
  if (format.type === "text") return messages
  const [first, ...rest] = messages
  const text = instructions(format)
  return first?.role === "system"
    ? [{ ...first, content: `${String(first.content)}\n\n${text}` }, ...rest]
    : [{ role: "system", content: text }, ...messages]
}

/** @throws UnsupportedPart @internal */
export const messagesOf = ({ prompt, responseFormat }: LanguageModel.ProviderOptions): ReadonlyArray<Message.Message> =>
  withInstructions(prompt.content.flatMap(toMessages), responseFormat)

const isChosen = (choice: LanguageModel.ProviderOptions["toolChoice"], name: string): boolean => {
  if (choice === "none") return false
  if (typeof choice === "string") return true
  return "tool" in choice ? choice.tool === name : choice.oneOf.includes(name)
}

/** What the model is told of a tool. @internal */
export const specOf = (tool: Tool.Any): Message.ToolSpec => {
  const description = Tool.getDescription(tool as never)
  return {
    type: "function",
    function: {
      name: tool.name,
      ...(description === undefined ? {} : { description }),
      parameters: Tool.getJsonSchema(tool as never) as unknown as { readonly [key: string]: unknown }
    }
  }
}

/** The tools that the model may call. @internal */
export const toolsOf = ({ toolChoice, tools }: LanguageModel.ProviderOptions): ReadonlyArray<Message.ToolSpec> =>
  tools.filter(({ name }) => isChosen(toolChoice, name)).map(specOf)
