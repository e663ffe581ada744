/** Where in a rendered conversation the assistant speaks. */
import type { Chat, Vocabulary } from "./text.ts"
import { specialTokens } from "./text.ts"

/** What a message of the assistant takes of a text: the prompt ends where it begins. @internal */
export interface Region {
  readonly message: number
  readonly start: number
  readonly end: number
}

/** A message of the assistant: the prompt for it, and the conversation up to it. @internal */
export interface Answer {
  readonly message: number
  readonly prompt: Chat
  readonly through: Chat
}

/** The end of a turn, without the white space that some templates write behind it. */
const endOfTurn = (vocabulary: Vocabulary, chat: Chat, from: number): number => {
  const last = specialTokens(vocabulary, chat, from, chat.text.length).findLast(({ isStructure }) => isStructure)
  return last !== undefined && chat.text.slice(last.end).trim() === "" ? last.end : chat.text.length
}

/**
 * The region of an answer in the conversation that ends with it: from where the prompt ends, or from where the template says
 * that the assistant begins, if that is later. Undefined if the conversation does not begin with the prompt.
 *
 * @internal
 */
export const regionOf = (vocabulary: Vocabulary, { message, prompt, through }: Answer): Region | undefined => {
  if (!through.text.startsWith(prompt.text)) return undefined
  const start = prompt.text.length
  const marked = through.generation.at(-1)
  if (marked !== undefined && marked.end > start)
    return { message, start: Math.max(start, marked.start), end: marked.end }
  return { message, start, end: endOfTurn(vocabulary, through, start) }
}

/** Whether a longer conversation begins with the one that ends with an answer, so that the region is the same. @internal */
export const isKept = (whole: Chat, { through }: Answer, { end }: Region): boolean =>
  whole.text.startsWith(through.text.slice(0, end))
