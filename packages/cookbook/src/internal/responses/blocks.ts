/**
 * Reads reasoning and tool calls in the text of a response, piece by piece. What may be part of a tag, or a newline that
 * belongs to a tag, is held back. A whole response is read in the same way, so that both always agree.
 */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Either from "effect/Either"
import type * as Message from "../../Message.ts"

/** The blocks that a format knows. @internal */
export interface Grammar {
  /** framed: newlines around reasoning, and before the text that follows it, are framing */
  readonly thinking: "framed" | "plain" | "none"
  readonly tools: boolean
  /** whether the prompt has opened the reasoning already */
  readonly opensThinking?: boolean
}

/** @internal */
export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string }
  | { readonly type: "call"; readonly call: Message.ToolCall }
  | { readonly type: "unparsed"; readonly call: Message.UnparsedToolCall }

/** The longest detail of a failure. @internal */
export const longestDetail = 16_384

const tags = { thinking: ["<think>", "</think>"], tool: ["<tool_call>", "</tool_call>"] } as const

const unparsed = (raw: string, error: string): Block => ({
  type: "unparsed",
  call: { raw_text: raw.slice(0, longestDetail), error }
})

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The call in a block. */
const parseCall = (text: string): Block => {
  const raw = tags.tool[0] + text + tags.tool[1]
  const parsed = Json.parse(text.trim())
  if (Either.isLeft(parsed)) return unparsed(raw, `the tool call is not JSON: ${parsed.left.reason}`)
  const value: unknown = parsed.right
  if (!isRecord(value)) return unparsed(raw, "the tool call is not a JSON object")
  const { arguments: given, id, name } = value
  if (typeof name !== "string" || name === "") return unparsed(raw, "the tool call has no name")
  if (!isRecord(given)) return unparsed(raw, "the arguments of the tool call are not a JSON object")
  const call = { type: "function", function: { name, arguments: given } }
  return { type: "call", call: typeof id === "string" ? { id, ...call } : call }
}

/** How many characters at the end may begin the tag. */
const partialTag = (text: string, tag: string): number => {
  for (let length = Math.min(text.length, tag.length - 1); length > 0; length--) {
    if (text.endsWith(tag.slice(0, length))) return length
  }
  return 0
}

const newlinesAtEnd = (text: string): number => text.length - text.replace(/\n+$/, "").length

/** @internal */
export class BlockReader {
  private mode: "text" | "thinking" | "tool" = "text"
  private pending = ""
  /** newlines that follow belong to what came before */
  private skipsNewlines = false
  private isAfterCall = false
  private readonly grammar: Grammar
  constructor(grammar: Grammar) {
    this.grammar = grammar
    if (grammar.opensThinking !== true || grammar.thinking === "none") return
    this.mode = "thinking"
    this.skipsNewlines = grammar.thinking === "framed"
  }

  /** The blocks, or parts of them, that a piece of the response completes. */
  push(piece: string): ReadonlyArray<Block> {
    this.pending += piece
    const blocks: Array<Block> = []
    while (this.step(blocks));
    return blocks
  }

  /** What is left at the end of the response. */
  end(): ReadonlyArray<Block> {
    const rest = this.pending
    this.pending = ""
    if (this.mode === "tool") {
      return [unparsed(tags.tool[0] + rest, "unterminated tool block: <tool_call> without a matching </tool_call>")]
    }
    if (this.mode === "thinking") {
      const thinking = this.grammar.thinking === "framed" ? rest.replace(/\n+$/, "") : rest
      return thinking === "" ? [] : [{ type: "thinking", thinking }]
    }
    const text = this.skipsNewlines || this.isAfterCall ? rest.replace(/^\n+/, "") : rest
    return text === "" ? [] : [{ type: "text", text }]
  }

  /** Reads up to the next tag. Returns whether there may be another. */
  private step(blocks: Array<Block>): boolean {
    if (this.skipsNewlines) {
      this.pending = this.pending.replace(/^\n+/, "")
      if (this.pending === "") return false
      this.skipsNewlines = false
    }
    if (this.mode === "text") return this.stepText(blocks)
    return this.mode === "thinking" ? this.stepThinking(blocks) : this.stepTool(blocks)
  }

  private take(length: number): string {
    const taken = this.pending.slice(0, length)
    this.pending = this.pending.slice(length)
    return taken
  }

  private stepText(blocks: Array<Block>): boolean {
    const { thinking, tools } = this.grammar
    const begins = [
      thinking === "none" ? -1 : this.pending.indexOf(tags.thinking[0]),
      tools ? this.pending.indexOf(tags.tool[0]) : -1
    ]
    const [think = -1, tool = -1] = begins
    const isTool = tool >= 0 && (think < 0 || tool < think)
    const at = isTool ? tool : think
    if (at < 0) {
      this.emitText(blocks, this.take(this.safeText()))
      return false
    }
    const text = this.take(at)
    this.take(isTool ? tags.tool[0].length : tags.thinking[0].length)
    // a newline stands between text and the call that follows it
    this.emitText(blocks, isTool ? text.replace(/\n$/, "") : text)
    this.mode = isTool ? "tool" : "thinking"
    this.skipsNewlines = !isTool && thinking === "framed"
    return true
  }

  /** The length of the text that no tag can change any more. */
  private safeText(): number {
    const { thinking, tools } = this.grammar
    const held = Math.max(
      thinking === "none" ? 0 : partialTag(this.pending, tags.thinking[0]),
      tools ? partialTag(this.pending, tags.tool[0]) : 0
    )
    const end = this.pending.length - held
    if (this.isAfterCall && /^\n*$/.test(this.pending.slice(0, end))) return 0
    return tools && this.pending[end - 1] === "\n" ? end - 1 : end
  }

  private emitText(blocks: Array<Block>, text: string): void {
    if (text === "" || (this.isAfterCall && /^\n*$/.test(text))) return
    this.isAfterCall = false
    blocks.push({ type: "text", text })
  }

  private stepThinking(blocks: Array<Block>): boolean {
    const isFramed = this.grammar.thinking === "framed"
    const at = this.pending.indexOf(tags.thinking[1])
    if (at < 0) {
      const end = this.pending.length - partialTag(this.pending, tags.thinking[1])
      const safe = isFramed ? end - newlinesAtEnd(this.pending.slice(0, end)) : end
      if (safe > 0) blocks.push({ type: "thinking", thinking: this.take(safe) })
      return false
    }
    const thinking = this.take(at)
    this.take(tags.thinking[1].length)
    const kept = isFramed ? thinking.replace(/\n+$/, "") : thinking
    if (kept !== "") blocks.push({ type: "thinking", thinking: kept })
    this.mode = "text"
    this.skipsNewlines = isFramed
    return true
  }

  private stepTool(blocks: Array<Block>): boolean {
    const at = this.pending.indexOf(tags.tool[1])
    if (at < 0) return false
    const text = this.take(at)
    this.take(tags.tool[1].length)
    blocks.push(parseCall(text))
    this.mode = "text"
    this.isAfterCall = true
    return true
  }
}
