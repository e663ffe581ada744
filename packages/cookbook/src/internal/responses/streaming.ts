/** Responses read token by token. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import { type Block, BlockReader, type Grammar } from "./blocks.ts"
import type { Delta, Parsed, RendererError, StreamingParser } from "../formats/model.ts"

/** Turns the text of a response into deltas. @internal */
export interface TextReader {
  readonly push: (piece: string) => ReadonlyArray<Delta>
  /** what was held back, given the whole */
  readonly end: (parsed: Parsed) => ReadonlyArray<Delta>
}

/** What stands for bytes that are no character, or not yet. */
const replacement = "\ufffd"

/**
 * The text of tokens, as far as it is complete. Tokens are decoded together with those before them, since some vocabularies
 * decode the first token of a text in another way.
 */
const makeDecoder = (tokenizer: Tokenizer.Service) => {
  let context: ReadonlyArray<number> = []
  let pending: Array<number> = []
  const decode = () => tokenizer.decode([...context, ...pending]).slice(tokenizer.decode(context).length)
  return (token: number | undefined): string => {
    if (token !== undefined) pending.push(token)
    const text = decode()
    if (token !== undefined && text.endsWith(replacement)) return ""
    context = pending.length === 0 ? context : pending
    pending = []
    return text
  }
}

const deltaOf = (block: Block, index: number): Delta => {
  switch (block.type) {
    case "text":
      return { _tag: "Text", text: block.text, index }
    case "thinking":
      return { _tag: "Thinking", thinking: block.thinking, index }
    case "call":
      return { _tag: "ToolCall", call: block.call }
    case "unparsed":
      return { _tag: "UnparsedToolCall", call: block.call }
  }
}

/** The reader of a format with blocks. @internal */
export const blockReader = (grammar: Grammar): TextReader => {
  const reader = new BlockReader(grammar)
  let index = -1
  let type: Block["type"] | undefined
  const deltas = (blocks: ReadonlyArray<Block>) =>
    blocks.map((block) => {
      const isPart = block.type === "text" || block.type === "thinking"
      // a call stands apart: the text around it is one part
      if (isPart && block.type !== type) index++
      if (isPart) type = block.type
      return deltaOf(block, index)
    })
  return { push: (piece) => deltas(reader.push(piece)), end: () => deltas(reader.end()) }
}

/** @internal */
export interface StreamingOptions {
  readonly tokenizer: Tokenizer.Service
  /** tokens after which there is no text */
  readonly isEnd: (token: number) => boolean
  readonly reader: TextReader
  readonly parse: (response: ReadonlyArray<number>) => Effect.Effect<Parsed, RendererError>
}

/** @internal */
export const make = ({ isEnd, parse, reader, tokenizer }: StreamingOptions): StreamingParser => {
  const decode = makeDecoder(tokenizer)
  const tokens: Array<number> = []
  let hasHeader = false
  let hasEnded = false
  const header = (): ReadonlyArray<Delta> => {
    if (hasHeader) return []
    hasHeader = true
    return [{ _tag: "Header", role: "assistant" }]
  }
  const read = (text: string): ReadonlyArray<Delta> => (text === "" ? [] : [...header(), ...reader.push(text)])
  return {
    push: (token) => {
      tokens.push(token)
      hasEnded ||= isEnd(token)
      return hasEnded ? [] : read(decode(token))
    },
    finish: Effect.suspend(() =>
      Effect.map(parse(tokens), (parsed): ReadonlyArray<Delta> => {
        const last = read(decode(undefined))
        return [...header(), ...last, ...reader.end(parsed), { _tag: "Final", parsed }]
      })
    )
  }
}
