/** The format of one model for the OpenAI protocol: its messages and tools to the renderer's, and deltas to pieces. */
import type * as OpenAi from "@effect-tinker/api/OpenAi"
import * as TextFormats from "@effect-tinker/server/TextFormats"
import * as TextReader from "@effect-tinker/tokenizers/TextReader"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import type { Delta, Service } from "../formats/model.ts"
import type * as Message from "../../Message.ts"

type Piece = TextFormats.Piece

const textPieces = (text: string): ReadonlyArray<Piece> => (text === "" ? [] : [{ _tag: "Text", text }])

/** @internal */
export const readerOf = (tokenizer: Tokenizer.Service, stop: ReadonlyArray<string>): TextFormats.Reader => {
  const reader = TextReader.make((tokens) => tokenizer.decode(tokens, { skipSpecialTokens: true }), { stop })
  return {
    push: (tokens) => textPieces(reader.push(tokens)),
    end: Effect.sync(() => textPieces(reader.end()))
  }
}

/** `developer` is what newer models of OpenAI call the system. */
const toMessage = (message: OpenAi.ChatMessage): Message.Message => {
  const content = typeof message.content === "object" ? message.content.map(toPart) : message.content
  const role = message.role === "developer" ? "system" : message.role
  if (message.role !== "assistant") return { ...message, role, content: content ?? "" } as Message.Message
  const { reasoning_content, refusal: _, tool_calls, ...rest } = message
  return {
    ...rest,
    content: withReasoning(reasoning_content, content ?? ""),
    ...(tool_calls === undefined ? {} : { tool_calls: tool_calls.map(({ index: _, ...call }) => call) })
  } as Message.Message
}

const toPart = (part: { readonly type: string }): { readonly type: "text"; readonly text: string } => ({
  type: "text",
  text: "text" in part ? String(part.text) : "refusal" in part ? String(part.refusal) : ""
})

/** Reasoning is a part of the content for renderers. */
const withReasoning = (reasoning: string | undefined, content: Message.Content): Message.Content => {
  if (reasoning === undefined || reasoning === "") return content
  const parts = typeof content === "string" ? [{ type: "text" as const, text: content }] : (content ?? [])
  return [{ type: "thinking", thinking: reasoning }, ...parts]
}

const callOf = (call: Message.ToolCall): Piece => {
  const { arguments: given, name } = "function" in call ? (call.function as { name: string; arguments: unknown }) : call
  const id = "id" in call && typeof call.id === "string" ? call.id : undefined
  return {
    _tag: "ToolCall",
    id,
    name: name as string,
    arguments: typeof given === "string" ? given : JSON.stringify(given)
  }
}

const toPieces = (delta: Delta): ReadonlyArray<Piece> => {
  switch (delta._tag) {
    case "Text":
      return textPieces(delta.text)
    case "Thinking":
      return [{ _tag: "Reasoning", text: delta.thinking }]
    case "ToolCall":
      return [callOf(delta.call)]
    case "UnparsedToolCall":
      return [{ _tag: "Unparsed", text: delta.call.raw_text, reason: delta.call.error }]
    default:
      return []
  }
}

/** A reader over the parser of a renderer. Stop sequences of the client end the text, and nothing follows them. */
const chatReader = (renderer: Service, stop: ReadonlyArray<string>): TextFormats.Reader => {
  const parser = renderer.streamingParser()
  const stops = TextReader.makeStop({ stop })
  const read = (deltas: ReadonlyArray<Delta>): ReadonlyArray<Piece> =>
    deltas.flatMap(toPieces).flatMap((piece) => {
      if (stops.isStopped()) return []
      return piece._tag === "Text" ? textPieces(stops.push(piece.text)) : [...textPieces(stops.end()), piece]
    })
  return {
    push: (tokens) => Array.from(tokens).flatMap((token) => read(parser.push(token))),
    end: parser.finish.pipe(
      // sampled with other stop tokens, such as several: what was read stays
      Effect.orElseSucceed((): ReadonlyArray<Delta> => []),
      Effect.map((deltas) => [...read(deltas), ...textPieces(stops.end())])
    )
  }
}

/** @internal */
export const chatOf = (renderer: Service): TextFormats.TextFormat["chat"] => ({
  stop: renderer.stop,
  prompt: (messages, tools) =>
    Effect.mapError(
      renderer.generationPrompt(
        messages.map(toMessage),
        tools.length === 0 ? {} : { tools: tools as unknown as ReadonlyArray<Message.ToolSpec> }
      ),
      ({ detail, path, renderer }) =>
        new TextFormats.FormatError({ path: path ?? "messages", detail: `the renderer ${renderer} ${detail}` })
    ),
  reader: (stop) => chatReader(renderer, stop)
})
