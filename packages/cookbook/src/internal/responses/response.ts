/** Responses as messages: how they ended, what failed, what they say. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import type * as Message from "../../Message.ts"
import { type Block, BlockReader, type Grammar, longestDetail } from "./blocks.ts"
import type { Parsed, ParseFailure, Termination } from "../formats/model.ts"
import { type Part, refuse } from "../formats/turns.ts"

/** How responses of a format are read. @internal */
export interface ResponseFormat {
  readonly name: string
  readonly tokenizer: Tokenizer.Service
  readonly stopToken: number
  readonly grammar: Grammar
}

const malformed =
  "the response ended without the stop sequence, so that its framing is broken: it may have been cut off"

const failureOf = (
  termination: Termination,
  unparsed: ReadonlyArray<Message.UnparsedToolCall>
): ParseFailure | undefined => {
  if (termination === "malformed") return { kind: "structural", detail: malformed }
  if (unparsed.length === 0) return undefined
  return {
    kind: "content",
    detail: unparsed
      .map(({ error }) => error)
      .join("\n")
      .slice(0, longestDetail)
  }
}

/** Blocks of one type in a row, as one. */
const joinParts = (blocks: ReadonlyArray<Block>): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  for (const block of blocks) {
    const last = parts.at(-1)
    if (block.type === "text") {
      if (last?.type === "text") parts[parts.length - 1] = { type: "text", text: last.text + block.text }
      else parts.push(block)
    } else if (block.type === "thinking") {
      if (last?.type === "thinking") {
        parts[parts.length - 1] = { type: "thinking", thinking: last.thinking + block.thinking }
      } else parts.push(block)
    }
  }
  return parts
}

const contentOf = (parts: ReadonlyArray<Part>): Message.Content => {
  const [part] = parts
  if (part === undefined) return ""
  return parts.length === 1 && part.type === "text" ? part.text : parts
}

/** The message of blocks. @internal */
export const parsedOf = (blocks: ReadonlyArray<Block>, termination: Termination): Parsed => {
  const tool_calls = blocks.flatMap((block) => (block.type === "call" ? [block.call] : []))
  const unparsed_tool_calls = blocks.flatMap((block) => (block.type === "unparsed" ? [block.call] : []))
  return {
    message: {
      role: "assistant",
      content: contentOf(joinParts(blocks)),
      ...(tool_calls.length === 0 ? {} : { tool_calls }),
      ...(unparsed_tool_calls.length === 0 ? {} : { unparsed_tool_calls })
    },
    termination,
    failure: failureOf(termination, unparsed_tool_calls)
  }
}

/**
 * How a response ended. No stop token means that it was cut off.
 *
 * @throws RendererError when there are several: then it was sampled with other stop tokens
 */
const terminationOf = ({ name, stopToken }: ResponseFormat, response: ReadonlyArray<number>): Termination => {
  const count = response.filter((token) => token === stopToken).length
  if (count > 1) {
    const detail = `expects one stop token at the end of a response, not ${count}: sample with the renderer's stop sequences`
    throw refuse(name, "WrongStopTokens", detail)
  }
  return count === 0 ? "malformed" : "stop_sequence"
}

/** @throws RendererError @internal */
export const parse = (format: ResponseFormat, response: ReadonlyArray<number>): Parsed => {
  const termination = terminationOf(format, response)
  const end = termination === "malformed" ? response.length : response.indexOf(format.stopToken)
  const reader = new BlockReader(format.grammar)
  const blocks = [...reader.push(format.tokenizer.decode(response.slice(0, end))), ...reader.end()]
  return parsedOf(blocks, termination)
}
