/** What renderers read of messages, in one form. */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Either from "effect/Either"
import type * as Message from "../../Message.ts"
import { RendererError } from "./model.ts"

/** A part of what is said. @internal */
export type Part =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string }

/** A call of a tool, or what was meant to be one, as the model wrote it. @internal */
export type Call = { readonly json: string } | { readonly raw_text: string }

/** A message in the form that all renderers share. @internal */
export interface Turn {
  /** where it stands in the conversation, for errors; undefined for one that the renderer added */
  readonly index: number | undefined
  readonly role: string
  /** adjacent texts are joined, since a tokenizer may join what they share; none is empty */
  readonly parts: ReadonlyArray<Part>
  readonly calls: ReadonlyArray<Call>
  readonly weight: number
  readonly trainable: boolean | undefined
}

/** What a format has a form for. @internal */
export interface Abilities {
  readonly name: string
  readonly tools: boolean
  readonly thinking: boolean
}

/** @internal */
export const refuse = (
  renderer: string,
  reason: RendererError["reason"],
  detail: string,
  path?: string,
  cause?: unknown
): RendererError =>
  new RendererError({
    renderer,
    reason,
    detail,
    ...(path === undefined ? {} : { path }),
    ...(cause === undefined ? {} : { cause })
  })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const push = (parts: Array<Part>, part: Part): void => {
  const last = parts.at(-1)
  if (part.type === "text" && last?.type === "text")
    parts[parts.length - 1] = { type: "text", text: last.text + part.text }
  else if (part.type === "thinking" || part.text !== "") parts.push(part)
}

const partOf = ({ name, thinking }: Abilities, part: Message.ContentPart, path: string): Part => {
  if (part.type === "text") return { type: "text", text: (part as { readonly text: string }).text }
  if (part.type === "thinking" && thinking) {
    return { type: "thinking", thinking: (part as { readonly thinking: string }).thinking }
  }
  throw refuse(name, "UnsupportedContent", `has no form for content of the type ${part.type}`, path)
}

/** The reasoning beside the content, by the names that are in use. */
const reasoningOf = (message: Message.Message): string | undefined =>
  [message.reasoning_content, message["reasoning"], message["thinking"]].find(
    (value): value is string => typeof value === "string" && value !== ""
  )

const partsOf = (abilities: Abilities, message: Message.Message, path: string): ReadonlyArray<Part> => {
  const { content } = message
  const parts: Array<Part> = []
  const reasoning = reasoningOf(message)
  if (reasoning !== undefined) {
    if (!abilities.thinking || message.role !== "assistant") {
      throw refuse(abilities.name, "UnsupportedContent", `has no form for reasoning of ${message.role}`, path)
    }
    parts.push({ type: "thinking", thinking: reasoning })
  }
  if (typeof content === "string") push(parts, { type: "text", text: content })
  for (const [i, part] of Array.isArray(content) ? content.entries() : []) {
    const read = partOf(abilities, part, `${path}.content.${i}`)
    if (read.type === "thinking" && reasoning !== undefined) {
      const detail = "cannot tell which reasoning counts: it is in the content, and beside it"
      throw refuse(abilities.name, "InvalidConversation", detail, path)
    }
    push(parts, read)
  }
  return parts
}

const argumentsOf = (name: string, given: unknown, path: string): unknown => {
  if (typeof given !== "string") return given
  const parsed = Json.parse(given)
  if (
    Either.isRight(parsed) &&
    typeof parsed.right === "object" &&
    parsed.right !== null &&
    !Array.isArray(parsed.right)
  ) {
    return parsed.right
  }
  const problem = Either.isLeft(parsed) ? parsed.left.reason : "this is no object"
  throw refuse(name, "InvalidConversation", `cannot read arguments that are not a JSON object (${problem})`, path)
}

/** @throws RendererError when the value is not one of JSON. @internal */
export const printJson = (renderer: string, value: unknown, path: string): string => {
  try {
    return Json.stringify(value)
  } catch (cause) {
    throw refuse(renderer, "InvalidConversation", `cannot print this as JSON: ${messageOf(cause)}`, path)
  }
}

const functionOf = (call: Message.ToolCall) =>
  "function" in call && typeof call.function === "object"
    ? { called: call.function as { readonly name: string; readonly arguments: unknown }, path: ".function" }
    : { called: call as { readonly name: string; readonly arguments: unknown }, path: "" }

const callsOf = ({ name, tools }: Abilities, message: Message.Message, path: string): ReadonlyArray<Call> => {
  const legacy = message["function_call"]
  const calls = [
    ...(message.tool_calls ?? []).map((call, i) => ({ call, at: `${path}.tool_calls.${i}` })),
    ...(legacy === undefined || legacy === null
      ? []
      : [{ call: legacy as Message.ToolCall, at: `${path}.function_call` }])
  ]
  const unparsed = message.unparsed_tool_calls ?? []
  const isToolResult = message.role === "tool" || message.role === "function"
  if (!tools && (calls.length + unparsed.length > 0 || isToolResult)) {
    throw refuse(name, "UnsupportedTools", "has no form for tools", path)
  }
  const printed = calls.map(({ at, call }) => {
    const { called, path: below } = functionOf(call)
    const value = { name: called.name, arguments: argumentsOf(name, called.arguments, `${at}${below}.arguments`) }
    return { json: printJson(name, value, at) }
  })
  return [...printed, ...unparsed]
}

/**
 * Reads the messages of a conversation.
 *
 * @throws RendererError when a message has something that the format has no form for.
 * @internal
 */
export const read = (abilities: Abilities, messages: ReadonlyArray<Message.Message>): ReadonlyArray<Turn> =>
  messages.map((message, index) => {
    const path = `messages.${index}`
    return {
      index,
      role: message.role,
      parts: partsOf(abilities, message, path),
      calls: callsOf(abilities, message, path),
      weight: message.weight ?? 1,
      trainable: message.trainable ?? undefined
    }
  })

/** What a turn says, without its reasoning. @internal */
export const textOf = ({ parts }: Turn): string => parts.map((part) => (part.type === "text" ? part.text : "")).join("")
