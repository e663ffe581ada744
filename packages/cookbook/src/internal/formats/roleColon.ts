/** The format `User: … Assistant: …` for models that know no chat template. */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import type { Format } from "./assemble.ts"
import { textOf } from "./turns.ts"
import { makeEncoder } from "./vocabulary.ts"

/** What ends a response: the header of the user's next message. @internal */
export const stop = "\n\nUser:"

const header = (role: string): string => `${role.slice(0, 1).toUpperCase()}${role.slice(1).toLowerCase()}:`

/** @internal */
export const make = (name: string, tokenizer: Tokenizer.Service): Format => {
  const encode = makeEncoder(tokenizer)
  return {
    name,
    tools: false,
    thinking: false,
    bos: tokenizer.bos === undefined ? [] : [tokenizer.bos.id],
    hasExtensionProperty: true,
    disablesThinking: false,
    prepare: (turns) => turns,
    declareTools: (turns) => turns,
    render: (turns, i) => {
      const turn = turns[i]!
      return {
        header: encode(header(turn.role)),
        output: encode(` ${textOf(turn)}\n\n`),
        overlap: turn.role === "assistant" ? encode(header("user")) : []
      }
    },
    suffix: (_turns, role) => encode(header(role)),
    check: () => {},
    encode
  }
}
