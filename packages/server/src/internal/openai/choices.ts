/** The choices of a response, as their tokens arrive: the two forms of the OpenAI protocol. */
import type * as SampleLine from "@effect-tinker/api/SampleLine"
import * as Effect from "effect/Effect"
import type * as TextFormats from "../../TextFormats.ts"

type Json = { readonly [key: string]: unknown }

/** What a piece of a sample adds to a choice. @internal */
export interface Added {
  readonly pieces: ReadonlyArray<TextFormats.Piece>
  readonly logprobs: Json | undefined
  readonly finish_reason: "stop" | "length" | "tool_calls" | undefined
}

/** A form of the protocol. @internal */
export interface Form {
  readonly object: { readonly whole: string; readonly chunk: string }
  readonly id: string
  /** of the tokens of a piece; undefined if the client wants none */
  readonly logprobs: (delta: SampleLine.SampleDelta, offset: number) => Json | undefined
  /** one event of a stream: the first one of a choice, what follows, and its end */
  readonly first: Json | undefined
  readonly chunk: (added: Added, calls: number) => Json
  /** a choice without its index and how it ended */
  readonly whole: (all: ReadonlyArray<Added>) => Json
}

/** Reads the tokens of one choice. @internal */
export class Choice {
  private readonly form: Form
  private readonly reader: TextFormats.Reader
  private hasCalls = false
  /** how many tool calls it has so far */
  calls = 0
  private offset = 0
  readonly warnings: Array<string> = []

  constructor(form: Form, reader: TextFormats.Reader) {
    this.form = form
    this.reader = reader
  }

  push(delta: SampleLine.SampleDelta): Effect.Effect<Added> {
    const pieces = this.reader.push(delta.tokens)
    const end = delta.stop_reason === undefined ? Effect.succeed([]) : this.reader.end
    return Effect.map(end, (rest) => this.add(delta, [...pieces, ...rest]))
  }

  private add(delta: SampleLine.SampleDelta, pieces: ReadonlyArray<TextFormats.Piece>): Added {
    for (const piece of pieces) {
      if (piece._tag === "ToolCall") this.hasCalls = true
      if (piece._tag === "Unparsed") this.warnings.push(`a call of a tool could not be parsed: ${piece.reason}`)
    }
    const logprobs = this.form.logprobs(delta, this.offset)
    for (const piece of pieces) if (piece._tag === "Text") this.offset += piece.text.length
    return { pieces, logprobs, finish_reason: this.finishReason(delta) }
  }

  private finishReason({ stop_reason }: SampleLine.SampleDelta): Added["finish_reason"] {
    if (stop_reason === undefined) return undefined
    if (stop_reason !== "stop") return "length"
    return this.hasCalls ? "tool_calls" : "stop"
  }
}

const utf8 = new TextEncoder()

const finite = (logprob: number | undefined): number =>
  logprob === undefined || !Number.isFinite(logprob) ? -9999 : logprob

const textOf = (pieces: ReadonlyArray<TextFormats.Piece>): string =>
  pieces.map((piece) => (piece._tag === "Text" || piece._tag === "Unparsed" ? piece.text : "")).join("")

const reasoningOf = (pieces: ReadonlyArray<TextFormats.Piece>): string =>
  pieces.map((piece) => (piece._tag === "Reasoning" ? piece.text : "")).join("")

type Decode = (tokens: ReadonlyArray<number>) => string

/** @internal */
export const completionForm = (id: string, decode: Decode, wanted: number | undefined): Form => ({
  id: `cmpl-${id}`,
  object: { whole: "text_completion", chunk: "text_completion" },
  first: undefined,
  logprobs: ({ logprobs, tokens, topk_logprobs }, offset) => {
    if (wanted === undefined) return undefined
    const texts = Array.from(tokens, (token) => decode([token]))
    let at = offset
    return {
      tokens: texts,
      token_logprobs: texts.map((_, i) => finite(logprobs?.[i])),
      top_logprobs:
        wanted === 0
          ? null
          : texts.map((_, i) =>
              Object.fromEntries(
                (topk_logprobs?.[i] ?? []).map(([token, logprob]) => [decode([token]), finite(logprob)])
              )
            ),
      text_offset: texts.map((text) => (at += text.length) - text.length)
    }
  },
  chunk: ({ finish_reason, logprobs, pieces }) => ({
    text: textOf(pieces),
    logprobs: logprobs ?? null,
    finish_reason: finish_reason ?? null
  }),
  whole: (all) => ({
    text: all.map(({ pieces }) => textOf(pieces)).join(""),
    logprobs:
      wanted === undefined ? null : joinLists(all.flatMap(({ logprobs }) => (logprobs === undefined ? [] : [logprobs])))
  })
})

/** Joins the lists of the same name. */
const joinLists = (parts: ReadonlyArray<Json>): Json =>
  Object.fromEntries(
    Object.keys(parts[0] ?? {}).map((key) => {
      const lists = parts.map((part) => part[key])
      return [key, lists.every(Array.isArray) ? lists.flat() : null]
    })
  )

const toolCall = (piece: TextFormats.Piece & { readonly _tag: "ToolCall" }, id: string, index: number) => ({
  index,
  id: piece.id ?? `call_${id}_${index}`,
  type: "function",
  function: { name: piece.name, arguments: piece.arguments }
})

const callsOf = (pieces: ReadonlyArray<TextFormats.Piece>, id: string, before: number) =>
  pieces
    .filter((piece): piece is TextFormats.Piece & { readonly _tag: "ToolCall" } => piece._tag === "ToolCall")
    .map((piece, i) => toolCall(piece, id, before + i))

const tokenEntry = (decode: Decode, token: number, logprob: number | undefined) => {
  const text = decode([token])
  return { token: text, logprob: finite(logprob), bytes: Array.from(utf8.encode(text)) }
}

/** @internal */
export const chatForm = (id: string, decode: Decode, wanted: number | undefined): Form => ({
  id: `chatcmpl-${id}`,
  object: { whole: "chat.completion", chunk: "chat.completion.chunk" },
  first: { delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null },
  logprobs: ({ logprobs, tokens, topk_logprobs }) =>
    wanted === undefined
      ? undefined
      : {
          content: Array.from(tokens, (token, i) => ({
            ...tokenEntry(decode, token, logprobs?.[i]),
            top_logprobs: (topk_logprobs?.[i] ?? []).map(([other, logprob]) => tokenEntry(decode, other, logprob))
          }))
        },
  chunk: ({ finish_reason, logprobs, pieces }, before) => {
    const [content, reasoning, calls] = [textOf(pieces), reasoningOf(pieces), callsOf(pieces, id, before)]
    return {
      delta: {
        ...(content === "" ? {} : { content }),
        ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
        ...(calls.length === 0 ? {} : { tool_calls: calls })
      },
      logprobs: logprobs ?? null,
      finish_reason: finish_reason ?? null
    }
  },
  whole: (all) => {
    const pieces = all.flatMap((added) => added.pieces)
    const [content, reasoning] = [textOf(pieces), reasoningOf(pieces)]
    const calls = callsOf(pieces, id, 0).map(({ index: _, ...call }) => call)
    return {
      message: {
        role: "assistant",
        content: content === "" && calls.length > 0 ? null : content,
        refusal: null,
        ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
        ...(calls.length === 0 ? {} : { tool_calls: calls })
      },
      logprobs:
        wanted === undefined
          ? null
          : joinLists(all.flatMap(({ logprobs }) => (logprobs === undefined ? [] : [logprobs])))
    }
  }
})
