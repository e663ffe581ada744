/** The deltas of a renderer as the parts of a response of @effect/ai. */
import type * as IdGenerator from "@effect/ai/IdGenerator"
import type * as Response from "@effect/ai/Response"
import * as Effect from "effect/Effect"
import type { Delta } from "../formats/model.ts"
import type * as Message from "../../Message.ts"

/** A call without an id gets one. */
const callPart = (call: Message.ToolCall, ids: IdGenerator.Service): Effect.Effect<Response.ToolCallPartEncoded> => {
  const { arguments: given, name } = ("function" in call ? call.function : call) as {
    readonly name: string
    readonly arguments: unknown
  }
  const id = "id" in call && typeof call.id === "string" ? Effect.succeed(call.id) : ids.generateId()
  const params = typeof given === "string" ? parse(given) : given
  return Effect.map(id, (id) => ({ type: "tool-call", id, name, params }))
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // the schema of the tool refuses it
    return text
  }
}

const unparsed = (call: Message.UnparsedToolCall): Effect.Effect<string> =>
  Effect.as(Effect.logWarning(`a call of a tool could not be parsed, and is text: ${call.error}`), call.raw_text)

/** Text without the fence that models put around JSON. */
const withoutFence = (text: string): string => /^\s*```(?:json)?\s*\n([\s\S]*?)\n?```\s*$/.exec(text)?.[1] ?? text

/** What a response is: text, JSON that the model was asked for, or JSON that the service kept it to. @internal */
export type Form = "text" | "asked JSON" | "enforced JSON"

/** The parts of a whole response. @internal */
export const wholeParts = (
  deltas: ReadonlyArray<Delta>,
  ids: IdGenerator.Service,
  form: Form
): Effect.Effect<Array<Response.PartEncoded>> =>
  Effect.gen(function* () {
    const parts: Array<Response.PartEncoded> = []
    const append = (type: "text" | "reasoning", text: string) => {
      const last = parts.at(-1)
      if (last?.type === type) parts[parts.length - 1] = { ...last, text: last.text + text }
      else parts.push({ type, text })
    }
    for (const delta of deltas) {
      if (delta._tag === "Text") append("text", delta.text)
      // the prompt of some models begins their reasoning, and JSON that they are kept to goes on from there
      if (delta._tag === "Thinking") append(form === "enforced JSON" ? "text" : "reasoning", delta.thinking)
      if (delta._tag === "ToolCall") parts.push(yield* callPart(delta.call, ids))
      if (delta._tag === "UnparsedToolCall") append("text", yield* unparsed(delta.call))
    }
    return form === "asked JSON"
      ? parts.map((part) => (part.type === "text" ? { ...part, text: withoutFence(part.text) } : part))
      : parts
  })

interface Open {
  readonly type: "text" | "reasoning"
  readonly id: string
}

/** Turns deltas into parts of a stream, each text with its start and its end. @internal */
export class StreamParts {
  private readonly ids: IdGenerator.Service
  private open: Open | undefined

  constructor(ids: IdGenerator.Service) {
    this.ids = ids
  }

  private close(): ReadonlyArray<Response.StreamPartEncoded> {
    const { open } = this
    this.open = undefined
    return open === undefined ? [] : [{ type: `${open.type}-end`, id: open.id }]
  }

  private text(type: Open["type"], delta: string): Effect.Effect<ReadonlyArray<Response.StreamPartEncoded>> {
    const { open } = this
    if (open?.type === type) return Effect.succeed([{ type: `${type}-delta`, id: open.id, delta }])
    return Effect.map(this.ids.generateId(), (id) => {
      const before = this.close()
      this.open = { type, id }
      return [
        ...before,
        { type: `${type}-start`, id },
        { type: `${type}-delta`, id, delta }
      ] as ReadonlyArray<Response.StreamPartEncoded>
    })
  }

  private add(delta: Delta): Effect.Effect<ReadonlyArray<Response.StreamPartEncoded>> {
    switch (delta._tag) {
      case "Text":
        return this.text("text", delta.text)
      case "Thinking":
        return this.text("reasoning", delta.thinking)
      case "ToolCall":
        return Effect.map(callPart(delta.call, this.ids), (part) => [...this.close(), part])
      case "UnparsedToolCall":
        return Effect.flatMap(unparsed(delta.call), (text) => this.text("text", text))
      default:
        return Effect.succeed([])
    }
  }

  push(deltas: ReadonlyArray<Delta>): Effect.Effect<ReadonlyArray<Response.StreamPartEncoded>> {
    return Effect.map(
      Effect.forEach(deltas, (delta) => this.add(delta)),
      (parts) => parts.flat()
    )
  }

  end(): ReadonlyArray<Response.StreamPartEncoded> {
    return this.close()
  }
}
