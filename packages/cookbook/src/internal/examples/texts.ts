/** Examples of plain text: prompts with completions, and texts that are trained as a whole. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import type { SupervisedExample } from "../formats/model.ts"

type Encoder = Pick<Tokenizer.Service, "encodeInSteps" | "eos">

type Tokens = ReadonlyArray<number>

const example = (prompt: Tokens, completion: Tokens): SupervisedExample => {
  const tokens = [...prompt, ...completion]
  const weights = new Float32Array(tokens.length).fill(1, prompt.length)
  return { input: tokens.length === 0 ? ModelInput.empty : ModelInput.fromTokens(tokens), weights }
}

/** The end of the text is trained too, so that the model stops there. */
const ended = (tokenizer: Encoder, tokens: Tokens) =>
  tokenizer.eos === undefined ? tokens : [...tokens, tokenizer.eos.id]

/** A prompt without weight, and a completion with it. @internal */
export const ofPromptCompletion = (
  tokenizer: Encoder,
  { completion, prompt }: { readonly prompt: string; readonly completion: string },
  splitSpecialTokens: boolean
): Effect.Effect<SupervisedExample> =>
  Effect.zipWith(
    tokenizer.encodeInSteps(prompt, { splitSpecialTokens }),
    tokenizer.encodeInSteps(completion, { addSpecialTokens: false, splitSpecialTokens }),
    (before, after) => example(before, ended(tokenizer, after))
  )

/** A text of which each token has weight. @internal */
export const ofText = (
  tokenizer: Encoder,
  text: string,
  splitSpecialTokens: boolean
): Effect.Effect<SupervisedExample> =>
  Effect.map(tokenizer.encodeInSteps(text, { splitSpecialTokens }), (tokens) => example([], ended(tokenizer, tokens)))
