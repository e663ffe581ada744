/** Conversations: the forms of messages, OpenAI, ShareGPT and Alpaca. */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Message from "../../Message.ts"
import type { Conversation } from "../../Record.ts"
import { optionalKey } from "../effect/optionalKey.ts"
import { decodeWith } from "../effect/parseError.ts"
import { below, type Decoded, problem } from "./problem.ts"

/** An object of JSON. @internal */
export type Fields = { readonly [key: string]: unknown }

/** @internal */
export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Json.Numeral)

const decodeMessages = decodeWith(Schema.NonEmptyArray(Message.Message))

const decodeTools = decodeWith(Schema.NullOr(Schema.Array(Message.ToolSpec)))

/** What OpenAI had before tools. */
const toolsOfFunctions = (functions: unknown): unknown =>
  Array.isArray(functions) ? functions.map((each: unknown) => ({ type: "function", function: each })) : functions

const withToolCalls = (message: unknown): unknown => {
  if (!isFields(message)) return message
  const { function_call: call, ...rest } = message
  const role = rest["role"] === "function" ? { role: "tool" } : {}
  if (call === undefined || call === null) return { ...rest, ...role }
  return { ...rest, ...role, tool_calls: [{ type: "function", function: call }] }
}

/** Whether a key of the message is one that OpenAI has replaced. */
const isLegacy = (message: unknown): boolean =>
  isFields(message) && ("function_call" in message || message["role"] === "function")

const parsed = (field: string, value: unknown): Decoded<unknown> =>
  typeof value === "string"
    ? Either.mapLeft(Json.parse(value), ({ reason }) => ({ field, reason: `is text that is not JSON: ${reason}` }))
    : Either.right(value)

/** Tools as a list, or as the JSON of one in a text, as files of ShareGPT have it. */
const toolsOf = (fields: Fields): Decoded<Conversation["tools"]> => {
  const { functions, tools } = fields
  if (tools === undefined && functions === undefined) return Either.right(undefined)
  if (tools === undefined) return below("functions", decodeTools(toolsOfFunctions(functions)))
  if (tools === "") return Either.right(undefined)
  return Either.flatMap(parsed("tools", tools), (value) => below("tools", decodeTools(value)))
}

/** A conversation of these messages. At least one is the assistant's, or there is nothing to train. */
const conversation = (field: string, messages: unknown, fields: Fields): Decoded<Conversation> => {
  const decoded = below(field, decodeMessages(Array.isArray(messages) ? messages.map(modern) : messages))
  if (Either.isLeft(decoded)) return Either.left(decoded.left)
  if (!decoded.right.some(({ role }) => role === "assistant"))
    return problem(field, "no message has the role assistant")
  const { parallel_tool_calls: parallel } = fields
  if (parallel !== undefined && parallel !== null && typeof parallel !== "boolean") {
    return problem("parallel_tool_calls", "is neither true nor false")
  }
  return Either.map(toolsOf(fields), (tools) => ({
    _tag: "Conversation",
    messages: decoded.right,
    ...(tools === undefined ? {} : { tools }),
    ...(typeof parallel === "boolean" ? { parallelToolCalls: parallel } : {})
  }))
}

const modern = (message: unknown): unknown => (isLegacy(message) ? withToolCalls(message) : message)

/** `{"messages": […]}` @internal */
export const fromMessages = (fields: Fields): Decoded<Conversation> =>
  conversation("messages", fields["messages"], fields)

/** Whether a record has what only OpenAI's fine-tuning files have. @internal */
export const isOpenAi = (fields: Fields): boolean =>
  ["tools", "functions", "parallel_tool_calls"].some((key) => key in fields) ||
  (Array.isArray(fields["messages"]) &&
    fields["messages"].some((message) => isFields(message) && ("weight" in message || isLegacy(message))))

const roles: { readonly [from: string]: string } = {
  system: "system",
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
  chatgpt: "assistant",
  model: "assistant",
  bot: "assistant",
  tool: "tool",
  observation: "tool",
  function_response: "tool",
  function_call: "assistant"
}

const Turn = Schema.Struct({
  from: Schema.String,
  value: Schema.NullOr(Schema.String),
  weight: optionalKey(Schema.Unknown)
})

const decodeTurn = decodeWith(Turn)

/** A message of a turn `{"from", "value"}`. */
const messageOfTurn = (turn: unknown): Decoded<unknown> =>
  Either.flatMap(decodeTurn(turn), ({ from, value, ...rest }): Decoded<unknown> => {
    const role = roles[from]
    if (role === undefined || !Object.hasOwn(roles, from)) {
      return problem("from", `${JSON.stringify(from)} is none of ${Object.keys(roles).join(", ")}`)
    }
    if (from !== "function_call") return Either.right({ role, content: value, ...rest })
    return Either.map(parsed("value", value), (call) => ({
      role,
      content: null,
      tool_calls: (Array.isArray(call) ? call : [call]).map((each: unknown) => ({ type: "function", function: each })),
      ...rest
    }))
  })

/** All results, or the first problem with its index. */
const all = <A>(decoded: ReadonlyArray<Decoded<A>>): Decoded<ReadonlyArray<A>> => {
  const results: Array<A> = []
  for (const [i, each] of decoded.entries()) {
    if (Either.isLeft(each)) return below(String(i), Either.left(each.left))
    results.push(each.right)
  }
  return Either.right(results)
}

const systemMessage = (fields: Fields): ReadonlyArray<unknown> => {
  const system = fields["system"] ?? fields["system_prompt"]
  return system === undefined || system === "" ? [] : [{ role: "system", content: system }]
}

/** `{"conversations": [{"from", "value"}]}`; some files have roles and contents there. @internal */
export const fromShareGpt = (fields: Fields): Decoded<Conversation> => {
  const turns = fields["conversations"]
  if (!Array.isArray(turns)) return problem("conversations", "is no list")
  if (turns.every((turn) => isFields(turn) && "role" in turn)) return conversation("conversations", turns, fields)
  const messages = below("conversations", all(turns.map(messageOfTurn)))
  return Either.flatMap(messages, (found) =>
    conversation("conversations", [...systemMessage(fields), ...found], fields)
  )
}

const Alpaca = Schema.Struct({
  instruction: Schema.String,
  input: optionalKey(Schema.NullOr(Schema.String)),
  output: Schema.String,
  history: optionalKey(Schema.NullOr(Schema.Array(Schema.Tuple(Schema.String, Schema.String))))
})

const decodeAlpaca = decodeWith(Alpaca)

/** `{"instruction", "input", "output"}`: the instruction and the input are one message, on lines of their own. @internal */
export const fromAlpaca = (fields: Fields): Decoded<Conversation> =>
  Either.flatMap(decodeAlpaca(fields), ({ history, input, instruction, output }) => {
    const earlier = (history ?? []).flatMap(([user, assistant]) => [
      { role: "user", content: user },
      { role: "assistant", content: assistant }
    ])
    const content = [instruction, input ?? ""].filter((part) => part !== "").join("\n")
    const messages = [
      ...systemMessage(fields),
      ...earlier,
      { role: "user", content },
      { role: "assistant", content: output }
    ]
    return conversation("", messages, fields)
  })

/** Messages of a prompt or an answer. @internal */
export const messagesOf = (field: string, value: unknown): Decoded<ReadonlyArray<Message.Message>> =>
  below(field, decodeMessages(Array.isArray(value) ? value.map(modern) : value))

/** @internal */
export { toolsOf }
