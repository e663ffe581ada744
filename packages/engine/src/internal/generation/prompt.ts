/** Validates a prompt, and reads it into the model. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import { causalMask } from "../model/attentionMask.ts"
import { checkContextLength, embedTokens, type LoadedModel, type StoredWeights } from "../model/loaded.ts"
import * as rope from "../model/rope.ts"
import { prefill } from "../programs/prefill.ts"
import { userError } from "../util/errors.ts"
import { nextPowerOfTwo } from "../util/shape.ts"

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

/** A prompt that the model has read. @internal */
export interface ReadPrompt {
  readonly tokens: Int32Array
  /** of the last position, (vocab_size) */
  readonly lastLogits: Float32Array
  /** of all positions, (positions, vocab_size), if requested */
  readonly allLogits: Float32Array | undefined
  /** for each layer keys and values, (positions, num_kv_heads, head_dim) */
  readonly keysAndValues: ReadonlyArray<Float32Array>
}

const shortestPrefill = 16

/** The logits of one position. @internal */
export const logitsAt = (model: LoadedModel, logits: Float32Array, position: number): Float32Array =>
  logits.subarray(position * model.config.vocab_size, (position + 1) * model.config.vocab_size)

/** Runs the prefill program on a prompt, padded to a power of two. @internal */
export const read = (
  model: LoadedModel,
  weights: StoredWeights,
  tokens: Int32Array,
  wantsAllLogits: boolean
): Effect.Effect<ReadPrompt, Engine.EngineError> =>
  Effect.gen(function* () {
    const length = nextPowerOfTwo(tokens.length, shortestPrefill)
    const executable = yield* model.executor.compile(prefill(model.config, length, wantsAllLogits))
    const positions = Int32Array.from({ length }, (_, i) => (i < tokens.length ? i : 0))
    const x = new Float32Array(length * model.config.hidden_size)
    embedTokens(
      model,
      Array.from(tokens, (token, i) => [i, token] as const),
      x
    )
    const last = new Float32Array(length)
    last[tokens.length - 1] = 1
    const [logits, ...keysAndValues] = yield* executable.run({
      ...weights,
      x,
      ...rope.rowsAt(model.rope, positions),
      mask: causalMask(1, length, [{ row: 0, column: 0, length: tokens.length }]),
      ...(wantsAllLogits ? {} : { last })
    })
    return {
      tokens,
      lastLogits: wantsAllLogits ? logitsAt(model, logits!, tokens.length - 1) : logits!,
      allLogits: wantsAllLogits ? logits! : undefined,
      keysAndValues
    }
  })
