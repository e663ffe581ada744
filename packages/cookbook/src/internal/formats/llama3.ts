/**
 * The format of Llama 3, without the dates that the template of Llama 3.1 puts before every conversation. It has no form for
 * tools: bare JSON cannot be told from an answer.
 */
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import type { Format } from "./assemble.ts"
import { textOf } from "./turns.ts"
import { makeEncoder, specialToken } from "./vocabulary.ts"

/** The token that ends a turn. @internal */
export const endOfTurn = "<|eot_id|>"

/** @throws RendererError when the tokenizer is of another family. @internal */
export const make = (name: string, tokenizer: Tokenizer.Service): Format => {
  const [bos, start, end, eot] = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", endOfTurn].map(
    (token) => specialToken(name, tokenizer, token)
  ) as [number, number, number, number]
  const encode = makeEncoder(tokenizer)
  const header = (role: string) => [start, ...encode(role), end, ...encode("\n\n")]
  return {
    name,
    tools: false,
    thinking: false,
    bos: [bos],
    hasExtensionProperty: true,
    disablesThinking: false,
    prepare: (turns) => turns,
    declareTools: (turns) => turns,
    render: (turns, i) => ({ header: header(turns[i]!.role), output: [...encode(textOf(turns[i]!)), eot] }),
    suffix: (_turns, role) => header(role),
    check: () => {},
    encode
  }
}
