/** The formats of Qwen3, as its chat template writes them. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import type * as Message from "../../Message.ts"
import type { Format, Rendered } from "./assemble.ts"
import { type Part, printJson, refuse, textOf, type Turn } from "./turns.ts"
import { makeEncoder, specialToken } from "./vocabulary.ts"

/** @internal */
export interface Options {
  /** the reasoning in a frame of newlines, as models that think write it; else as it stands */
  readonly framesThinking: boolean
  /** whether earlier messages lose their reasoning */
  readonly stripsThinking: boolean
  /** whether the prompt turns reasoning off */
  readonly disablesThinking: boolean
}

/** The token that ends a turn. @internal */
export const endOfTurn = "<|im_end|>"

const trimStart = (text: string): string => text.replace(/^\n+/, "")
const trimEnd = (text: string): string => text.replace(/\n+$/, "")

const frame = (reasoning: string): string => `<think>\n${trimEnd(trimStart(reasoning))}\n</think>\n\n`

const emptyFrame = frame("")

/** Reasoning that stands in the text, by the rule of the template: up to the first end, after the last beginning. */
const splitThinking = (turn: Turn): Turn => {
  const [part] = turn.parts
  if (turn.role !== "assistant" || turn.parts.length !== 1 || part?.type !== "text") return turn
  if (!part.text.includes("</think>")) return turn
  const before = trimEnd(part.text.slice(0, part.text.indexOf("</think>")))
  const after = trimStart(part.text.slice(part.text.lastIndexOf("</think>") + "</think>".length))
  const thinking = trimStart(before.slice(before.lastIndexOf("<think>") + (before.includes("<think>") ? 7 : 0)))
  const text: ReadonlyArray<Part> = after === "" ? [] : [{ type: "text", text: after }]
  return { ...turn, parts: [{ type: "thinking", thinking }, ...text] }
}

const isToolResult = (turn: Turn | undefined): boolean => turn?.role === "tool"

/** The last message that asks something; the results of tools do not, in whichever form they come. */
const lastQuery = (turns: ReadonlyArray<Turn>): number =>
  turns.findLastIndex((turn) => {
    const text = textOf(turn)
    return turn.role === "user" && !(text.startsWith("<tool_response>") && text.endsWith("</tool_response>"))
  })

type Thinking = "framed" | "framed even if empty" | "plain" | "dropped"

/** What becomes of the reasoning of a message. */
const thinkingOf = (options: Options, turns: ReadonlyArray<Turn>, i: number): Thinking => {
  const isLast = i === turns.length - 1
  if (turns[i]!.role !== "assistant" || !options.framesThinking) return "plain"
  if (!options.stripsThinking) {
    // a rule about what comes before the message, so that it reads alike wherever the conversation ends
    return turns.slice(0, i).some(({ role }) => role === "user") ? "framed even if empty" : "plain"
  }
  const query = lastQuery(turns)
  if (query < 0) return isLast ? "plain" : "dropped"
  if (i < query) return "dropped"
  return isLast ? "framed even if empty" : "framed"
}

const printParts = (parts: ReadonlyArray<Part>, thinking: Thinking): string => {
  const isFramed = thinking.startsWith("framed")
  let text = ""
  let isAfterFrame = false
  for (const part of parts) {
    if (part.type === "text") {
      text += isAfterFrame ? trimStart(part.text) : part.text
      isAfterFrame = false
    } else if (thinking !== "dropped") {
      text += isFramed ? frame(part.thinking) : `<think>${part.thinking}</think>`
      isAfterFrame = isFramed
    }
  }
  return text
}

const printCalls = ({ calls }: Turn): string =>
  calls.map((call) => ("json" in call ? `<tool_call>\n${call.json}\n</tool_call>` : call.raw_text)).join("\n")

/** What a message says, and the empty frame before it, which is apart so that a prompt may end with it. */
const printTurn = (options: Options, turns: ReadonlyArray<Turn>, i: number) => {
  const turn = turns[i]!
  const thinking = thinkingOf(options, turns, i)
  const isEmpty = thinking === "framed even if empty" && !turn.parts.some(({ type }) => type === "thinking")
  const text = printParts(turn.parts, thinking)
  const calls = printCalls(turn)
  const separator = calls !== "" && textOf(turn) !== "" ? "\n" : ""
  return { before: isEmpty ? emptyFrame : "", text: (isEmpty ? trimStart(text) : text) + separator + calls }
}

const instructions = (tools: ReadonlyArray<string>): string =>
  [
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n",
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>",
    ...tools,
    "</tools>\n",
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:",
    '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
  ].join("\n")

const declareTools =
  (renderer: string) =>
  (turns: ReadonlyArray<Turn>, tools: ReadonlyArray<Message.ToolSpec>): ReadonlyArray<Turn> => {
    const lines = tools.map((tool, i) =>
      printJson(renderer, "function" in tool ? tool : { type: "function", function: tool }, `tools.${i}`)
    )
    const [first, ...others] = turns
    const text = instructions(lines)
    if (first?.role === "system") {
      return [{ ...first, parts: [{ type: "text", text: `${textOf(first)}\n\n${text}` }] }, ...others]
    }
    const system = { index: undefined, role: "system", calls: [], weight: 1, trainable: undefined }
    return [{ ...system, parts: [{ type: "text", text }] }, ...turns]
  }

/** The prompt always opens a block that the template does not write without a message of the user. */
const checkUser = (renderer: string, turns: ReadonlyArray<Turn>): void => {
  const last = turns.at(-1)
  if (last?.role !== "assistant" || last.parts.length === 0 || lastQuery(turns) >= 0) return
  const detail = "has no prompt without a message of the user: add one, or use a renderer that thinks"
  throw refuse(renderer, "NoUserMessage", detail, "messages")
}

/** @throws RendererError when the tokenizer is of another family. @internal */
export const make = (name: string, tokenizer: Tokenizer.Service, options: Options): Format => {
  const start = specialToken(name, tokenizer, "<|im_start|>")
  const end = specialToken(name, tokenizer, endOfTurn)
  const encode = makeEncoder(tokenizer)
  const header = (i: number, role: string) => [...(i === 0 ? [] : encode("\n")), start, ...encode(`${role}\n`)]
  // the template puts the results of one turn into one message of the user
  const renderResult = (turns: ReadonlyArray<Turn>, i: number): Rendered => ({
    header: isToolResult(turns[i - 1]) ? encode("\n") : header(i, "user"),
    output: [
      ...encode(`<tool_response>\n${textOf(turns[i]!)}\n</tool_response>`),
      ...(isToolResult(turns[i + 1]) ? [] : [end])
    ]
  })
  const renderMessage = (turns: ReadonlyArray<Turn>, i: number): Rendered => {
    const { before, text } = printTurn(options, turns, i)
    const said = options.disablesThinking ? [...encode(before), ...encode(text)] : encode(before + text)
    return { header: header(i, turns[i]!.role), output: [...said, end] }
  }
  return {
    name,
    tools: true,
    thinking: true,
    bos: [],
    hasExtensionProperty: !options.stripsThinking,
    disablesThinking: options.disablesThinking,
    prepare: (turns) => (options.framesThinking ? turns.map(splitThinking) : turns),
    declareTools: declareTools(name),
    render: (turns, i) => (isToolResult(turns[i]) ? renderResult(turns, i) : renderMessage(turns, i)),
    suffix: ({ length }, role) => [...header(length, role), ...(options.disablesThinking ? encode(emptyFrame) : [])],
    check: (turns) => {
      if (options.disablesThinking) checkUser(name, turns)
    },
    encode
  }
}
