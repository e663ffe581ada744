/** Responses in the format `User: … Assistant: …`, which end with the header of the user, or with the text. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import { parsedOf } from "./response.ts"
import type { Delta, Parsed, Termination } from "../formats/model.ts"
import { stop } from "../formats/roleColon.ts"
import type { TextReader } from "./streaming.ts"

const begin = (text: string): string => (text.startsWith(" ") ? text.slice(1) : text)

/** @internal */
export const parse = (tokenizer: Tokenizer.Service, response: ReadonlyArray<number>): Parsed => {
  const endsText = tokenizer.eos !== undefined && response.at(-1) === tokenizer.eos.id
  const [said = "", ...others] = tokenizer.decode(endsText ? response.slice(0, -1) : response).split(stop)
  const content = begin(said)
  // the stop sequence has taken the newlines with it
  const text = others.length === 0 && content.endsWith("\n\n") ? content.slice(0, -2) : content
  const termination: Termination =
    others.length === 0 && endsText ? "eos" : others.length === 1 && !endsText ? "stop_sequence" : "malformed"
  return parsedOf(text === "" ? [] : [{ type: "text", text }], termination)
}

/** Holds back the space at the beginning, and what may be the end. @internal */
export const textReader = (): TextReader => {
  let text = ""
  let hasBegun = false
  let emitted = 0
  const emit = (until: number): ReadonlyArray<Delta> => {
    const piece = text.slice(emitted, until)
    emitted = Math.max(emitted, until)
    return piece === "" ? [] : [{ _tag: "Text", text: piece, index: 0 }]
  }
  return {
    push: (piece) => {
      text += hasBegun ? piece : begin(piece)
      hasBegun = true
      const end = text.indexOf(stop)
      if (end >= 0) return emit(end)
      let held = 0
      for (let length = Math.min(text.length, stop.length - 1); length > 0 && held === 0; length--) {
        if (text.endsWith(stop.slice(0, length))) held = length
      }
      return emit(text.length - held)
    },
    end: ({ message }) => {
      text = typeof message.content === "string" ? message.content : ""
      return emit(text.length)
    }
  }
}
