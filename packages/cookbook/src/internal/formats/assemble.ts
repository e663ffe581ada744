/** Prompts and examples from the renderings of single messages. */
import type * as Message from "../../Message.ts"
import { append } from "./append.ts"
import * as modes from "./weights.ts"
import type { Conversation, PromptOptions, RendererError, TrainOn } from "./model.ts"
import { type Abilities, read, refuse, type Turn } from "./turns.ts"

type Tokens = ReadonlyArray<number>

/** A message as tokens. @internal */
export interface Rendered {
  /** what the model reads but does not write */
  readonly header: Tokens
  /** what the model writes, with the token that ends its turn */
  readonly output: Tokens
  /** the part of the stop sequence that is also the header of the next message; only the last message has it */
  readonly overlap?: Tokens
}

/** A format whose conversations are the renderings of their messages, one after the other. @internal */
export interface Format extends Abilities {
  readonly bos: Tokens
  readonly hasExtensionProperty: boolean
  readonly disablesThinking: boolean
  /** the turns as the format reads them */
  readonly prepare: (turns: ReadonlyArray<Turn>) => ReadonlyArray<Turn>
  /** the turns with the declaration of tools */
  readonly declareTools: (turns: ReadonlyArray<Turn>, tools: ReadonlyArray<Message.ToolSpec>) => ReadonlyArray<Turn>
  readonly render: (turns: ReadonlyArray<Turn>, index: number) => Rendered
  /** the header of the message to generate, with what the prompt already says of it */
  readonly suffix: (turns: ReadonlyArray<Turn>, role: string) => Tokens
  /** throws when a conversation has no exact example */
  readonly check: (turns: ReadonlyArray<Turn>) => void
  readonly encode: (text: string) => Tokens
}

/** Tokens with their weights. @internal */
export interface WeightedTokens {
  readonly tokens: Tokens
  readonly weights: Float32Array
}

const turnsOf = (format: Format, { messages, tools }: Conversation): ReadonlyArray<Turn> => {
  const turns = format.prepare(read(format, messages))
  if (tools === undefined || tools === null || tools.length === 0) return turns
  if (!format.tools) throw refuse(format.name, "UnsupportedTools", "has no form for tools", "tools")
  return format.declareTools(turns, tools)
}

const promptOf = (format: Format, turns: ReadonlyArray<Turn>, role: string): Array<number> => {
  const tokens = [...format.bos]
  for (let i = 0; i < turns.length; i++) {
    const { header, output } = format.render(turns, i)
    append(tokens, header)
    append(tokens, output)
  }
  append(tokens, format.suffix(turns, role))
  return tokens
}

/** @throws RendererError @internal */
export const prompt = (
  format: Format,
  messages: ReadonlyArray<Message.Message>,
  { prefill = "", role = "assistant", tools }: PromptOptions
): Tokens => [...promptOf(format, turnsOf(format, { messages, tools }), role), ...format.encode(prefill)]

const startsWith = (tokens: Tokens, prefix: Tokens): boolean =>
  prefix.length <= tokens.length && prefix.every((token, i) => tokens[i] === token)

/**
 * Takes the weight from everything that the prompt of the first trained message contains, even where the message repeats
 * it. If the example does not begin with that prompt, the template disagrees with itself, and the weights stay.
 */
const withoutPrompt = (
  format: Format,
  turns: ReadonlyArray<Turn>,
  trainOn: TrainOn,
  { tokens, weights }: WeightedTokens
): void => {
  const boundary = modes.firstProduced(turns, trainOn)
  if (boundary === undefined) return
  const known = promptOf(format, turns.slice(0, boundary), "assistant")
  if (startsWith(tokens, known)) weights.fill(0, 0, known.length)
  else if (format.disablesThinking) throw reasons(format, turns[boundary])
}

const reasons = (format: Format, turn: Turn | undefined): RendererError =>
  refuse(
    format.name,
    "UnexpectedReasoning",
    "turns reasoning off in its prompt, so that it cannot train a message that reasons: drop the reasoning, or choose a renderer that keeps it",
    turn?.index === undefined ? undefined : `messages.${turn.index}`
  )

const exampleOf = (format: Format, turns: ReadonlyArray<Turn>, trainOn: TrainOn): WeightedTokens => {
  modes.checkTrainable(format.name, turns, trainOn)
  format.check(turns)
  const isTrained = modes.trainedTurns(turns, trainOn)
  const tokens = [...format.bos]
  const spans: Array<readonly [weight: number, from: number]> = []
  for (const [i, turn] of turns.entries()) {
    const { header, output, overlap = [] } = format.render(turns, i)
    spans.push([trainOn === "all_tokens" ? turn.weight : 0, tokens.length])
    append(tokens, header)
    spans.push([isTrained[i] === true ? turn.weight : 0, tokens.length])
    append(tokens, output)
    if (i === turns.length - 1) append(tokens, overlap)
  }
  const weights = new Float32Array(tokens.length)
  for (const [weight, from] of spans) weights.fill(weight, from)
  const example = { tokens, weights }
  withoutPrompt(format, turns, trainOn, example)
  return example
}

/** @throws RendererError @internal */
export const example = (format: Format, conversation: Conversation, trainOn: TrainOn): WeightedTokens =>
  exampleOf(format, turnsOf(format, conversation), trainOn)

/** @throws RendererError @internal */
export const examples = (
  format: Format,
  conversation: Conversation,
  trainOn: TrainOn
): ReadonlyArray<WeightedTokens> => {
  const turns = turnsOf(format, conversation)
  if (format.hasExtensionProperty) return [exampleOf(format, turns, trainOn)]
  modes.checkTrainable(format.name, turns, trainOn)
  return modes
    .producedTurns(format.name, turns, trainOn)
    .map((i) => exampleOf(format, turns.slice(0, i + 1), "last_assistant_message"))
}
