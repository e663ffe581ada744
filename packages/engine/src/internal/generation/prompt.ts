/** The prompt of a request: its validation, and what the request wants to know of it. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import { checkContextLength, type LoadedModel } from "../model/loaded.ts"
import { userError } from "../util/errors.ts"

interface Prompt {
  readonly tokens: Int32Array
  /** how many tokens may follow */
  readonly maxTokens: number
}

/** The prompt of a request. Fails if it cannot be read or continued. @internal */
export const fromRequest = (
  model: LoadedModel,
  request: Engine.SampleOptions
): Effect.Effect<Prompt, Engine.EngineError> =>
  Effect.gen(function* () {
    const { prompt, sampling_params, target_prompt_logprobs } = request
    if (!ModelInput.isText(prompt)) return yield* userError("the prompt has chunks that are not text")
    const tokens = ModelInput.toTokens(prompt)
    if (tokens.length === 0) return yield* userError("the prompt is empty: it needs at least one token")
    const { max_context_length, vocab_size } = model.config
    const invalid = tokens.findIndex((token) => token < 0 || token >= vocab_size)
    if (invalid >= 0) {
      return yield* userError(
        `the prompt's token ${invalid} is ${tokens[invalid]}, but the vocabulary of ${model.name} has ${vocab_size} ` +
          "tokens"
      )
    }
    yield* checkContextLength(model, tokens.length, "the prompt")
    // the first token after a prompt that is only scored comes from logits that are computed anyway
    const room = Math.max(max_context_length - tokens.length, needsAllLogits(request) ? 1 : 0)
    const maxTokens = sampling_params.max_tokens ?? room
    if (maxTokens < 1 || maxTokens > room) {
      return yield* userError(
        `the prompt has ${tokens.length} tokens, so that ${Math.max(1, maxTokens)} more exceed the context of ` +
          `${model.name}, which has ${max_context_length}: shorten the prompt or lower max_tokens`
      )
    }
    const targets =
      target_prompt_logprobs === undefined ? undefined : Engine.targetProblem(target_prompt_logprobs, vocab_size)
    if (targets !== undefined) return yield* userError(targets)
    return { tokens, maxTokens }
  })

/** Whether a request needs the logits of all positions of its prompt. @internal */
export const needsAllLogits = (request: Engine.SampleOptions): boolean =>
  request.prompt_logprobs ||
  request.topk_prompt_logprobs > 0 ||
  request.target_prompt_logprobs !== undefined ||
  (request.prompt_alt_tokens_k ?? 0) > 0
