/** Prompts with completions, pairs of answers, and texts. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Message from "../../Message.ts"
import type { Conversation, Preference, PromptCompletion, Text } from "../../Record.ts"
import { decodeWith } from "../effect/parseError.ts"
import { type Fields, isFields, messagesOf, toolsOf } from "./conversations.ts"
import { hashOf } from "./hash.ts"
import { type Decoded, problem } from "./problem.ts"

const PromptAndCompletion = Schema.Struct({ prompt: Schema.String, completion: Schema.NonEmptyString })

const decodePromptCompletion = decodeWith(PromptAndCompletion)

type Messages = ReadonlyArray<Message.Message>

/** The messages of a prompt are not trained, whatever their roles. */
const untrained = (messages: Messages): Messages => messages.map((message) => ({ ...message, weight: 0 }))

const isMessages = (value: unknown): boolean => Array.isArray(value) || isFields(value)

const listOf = (value: unknown): unknown => (isFields(value) ? [value] : value)

/** `{"prompt", "completion"}`, as texts or as messages. @internal */
export const fromPromptCompletion = (fields: Fields): Decoded<PromptCompletion | Conversation> => {
  const { completion, prompt } = fields
  if (!isMessages(prompt) && !isMessages(completion)) {
    return Either.map(decodePromptCompletion(fields), (texts) => ({ _tag: "PromptCompletion", ...texts }))
  }
  return Either.gen(function* () {
    const before = yield* messagesOf("prompt", listOf(prompt))
    const after = yield* messagesOf("completion", listOf(completion))
    if (!after.some(({ role }) => role === "assistant")) {
      return yield* problem("completion", "no message has the role assistant")
    }
    const tools = yield* toolsOf(fields)
    const [first, ...rest] = [...untrained(before), ...after]
    return {
      _tag: "Conversation" as const,
      messages: [first!, ...rest] as const,
      ...(tools === undefined ? {} : { tools })
    }
  })
}

const TextPair = Schema.Struct({ prompt: Schema.String, chosen: Schema.String, rejected: Schema.String })

const decodeTextPair = decodeWith(TextPair)

/** Whatever the order of their keys. */
const isSame = (a: unknown, b: unknown): boolean => hashOf(a) === hashOf(b)

/** The number of messages that both have at their start. */
const commonLength = (a: Messages, b: Messages): number => {
  const end = a.findIndex((message, i) => b[i] === undefined || !isSame(message, b[i]))
  return end < 0 ? a.length : end
}

/** A pair of answers to the messages of a prompt. In some files the answers begin with the prompt. */
const pairOf = (
  prompt: Messages,
  chosen: Messages,
  rejected: Messages,
  tools: Conversation["tools"]
): Decoded<Preference> => {
  const starts =
    prompt.length > 0 && [chosen, rejected].every((answer) => commonLength(prompt, answer) === prompt.length)
  const shared = starts ? prompt.length : prompt.length === 0 ? commonLength(chosen, rejected) : 0
  const [better, worse] = [chosen.slice(shared), rejected.slice(shared)]
  const context = prompt.length === 0 ? chosen.slice(0, shared) : prompt
  if (context.length === 0)
    return problem("prompt", "is missing, and chosen and rejected do not begin with the same messages")
  if (isSame(better, worse)) return problem("rejected", "is the same as chosen")
  for (const [name, answer] of [
    ["chosen", better],
    ["rejected", worse]
  ] as const) {
    if (!answer.some(({ role }) => role === "assistant"))
      return problem(name, "no message after the prompt has the role assistant")
  }
  const pair = { form: "messages" as const, prompt: context, chosen: better, rejected: worse }
  return Either.right({ _tag: "Preference", pair: tools === undefined ? pair : { ...pair, tools } })
}

const promptMessages = (prompt: unknown): Decoded<Messages> => {
  if (prompt === undefined || prompt === null) return Either.right([])
  return typeof prompt === "string"
    ? Either.right([{ role: "user", content: prompt }])
    : messagesOf("prompt", listOf(prompt))
}

/** `{"prompt", "chosen", "rejected"}`, as texts or as messages. @internal */
export const fromPreference = (fields: Fields): Decoded<Preference> => {
  const { chosen, prompt, rejected } = fields
  if (isMessages(chosen) || isMessages(rejected)) {
    return Either.gen(function* () {
      const context = yield* promptMessages(prompt)
      const better = yield* messagesOf("chosen", listOf(chosen))
      const worse = yield* messagesOf("rejected", listOf(rejected))
      return yield* pairOf(context, better, worse, yield* toolsOf(fields))
    })
  }
  return Either.flatMap(decodeTextPair(fields), (texts) =>
    texts.chosen === texts.rejected
      ? problem("rejected", "is the same as chosen")
      : Either.right({ _tag: "Preference", pair: { form: "text", ...texts } })
  )
}

/** `{"input": {"messages"}, "preferred_output", "non_preferred_output"}` @internal */
export const fromOpenAiPreference = (fields: Fields): Decoded<Preference> => {
  const input = fields["input"]
  if (!isFields(input)) return problem("input", "is no object with messages")
  return Either.gen(function* () {
    const context = yield* messagesOf("input.messages", input["messages"])
    const better = yield* messagesOf("preferred_output", fields["preferred_output"])
    const worse = yield* messagesOf("non_preferred_output", fields["non_preferred_output"])
    return yield* pairOf(context, better, worse, yield* toolsOf(input))
  })
}

const decodeText = decodeWith(Schema.Struct({ text: Schema.NonEmptyString }))

/** `{"text"}` @internal */
export const fromText = (fields: Fields): Decoded<Text> =>
  Either.map(decodeText(fields), ({ text }) => ({ _tag: "Text", text }))
