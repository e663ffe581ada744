/** The options of a sample and of a sampling client, and their validation. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Either from "effect/Either"
import * as codec from "../codec/endpoint.ts"
import type { DurationInput } from "../util/duration.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleOptions {
  /** independent samples of the same prompt; 1 by default */
  readonly num_samples?: number | undefined
  /**
   * Without `max_tokens`, the sequences may fill the context of the model; where the service does not report its length,
   * they have at most 512 tokens.
   */
  readonly sampling_params?: typeof Sampling.SamplingParams.Encoded | undefined
  /** computes the logprobs of the prompt's tokens as well */
  readonly prompt_logprobs?: boolean | undefined
  /** limits the prompt logprobs to the last N tokens; needs `prompt_logprobs` */
  readonly prompt_logprobs_last_n?: number | undefined
  /** the K most likely tokens at each position of the prompt */
  readonly topk_prompt_logprobs?: number | undefined
  /** the K most likely tokens at each sampled position */
  readonly topk_sample_logprobs?: number | undefined
  /** token ids to score, int64 `[prompt length - 1, K]`: row `i` at position `i + 1` of the prompt; -1 is skipped */
  readonly target_prompt_logprobs?: TensorData.TensorData | undefined
  /** K alternative tokens drawn at each position of the prompt but the first */
  readonly prompt_alt_tokens_k?: number | undefined
  /** records what the loss `stable_reinforce` needs */
  readonly record_stability_info?: boolean | undefined
  /** a JSON schema, as text: each sequence is JSON that it describes; only where `SamplingClient.takesJsonSchemas` */
  readonly json_schema?: string | undefined
}

/**
 * If the service drops a sample, or it cannot be submitted within the time of the retry policy, the client submits it
 * again as a new request, until it makes no progress any more (`TinkerFuture.NoProgressLimit`).
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
  /** `false`: such a sample fails. By default the service decides; without its flag it is `true`. */
  readonly resubmit?: boolean | undefined
  /** the first pause before a sample is resubmitted, which doubles; 0.5 s by default */
  readonly resubmitFirst?: DurationInput | undefined
  /** the longest pause; 10 s by default */
  readonly resubmitCap?: DurationInput | undefined
  /** samples in flight at once, from submission to result; the service's limit by default, or 2,000 */
  readonly maxConcurrent?: number | undefined
}

/** @internal */
export const invalid = (method: string, path: string, reason: string): TinkerError.InvalidInput =>
  new TinkerError.InvalidInput({ method, path, reason })

const decodeParams = codec.input("sample", "sampling_params", Sampling.SamplingParams)

/** Reads the parameters in the form that all services accept: `stop` is a list. */
const readParams = (params: NonNullable<SampleOptions["sampling_params"]>): ReturnType<typeof decodeParams> =>
  Either.map(decodeParams(params), (read) => (typeof read.stop === "string" ? { ...read, stop: [read.stop] } : read))

// most samples of a program have the same parameters
const recentParams = new Map<string, ReturnType<typeof readParams>>()
const maxRecentParams = 64

/** Validates sampling parameters, and fills in the defaults. @internal */
export const readSamplingParams = (params: SampleOptions["sampling_params"] = {}): ReturnType<typeof readParams> => {
  let key = ""
  for (const [name, value] of Object.entries(params)) {
    if (typeof value !== "number") return readParams(params)
    key += `${name}=${value};`
  }
  let read = recentParams.get(key)
  if (read === undefined) {
    read = readParams(params)
    if (recentParams.size >= maxRecentParams) recentParams.clear()
    recentParams.set(key, read)
  }
  return read
}

/** What is wrong with the options of a client. @internal */
export const checkClientOptions = (
  method: string,
  { maxConcurrent }: ClientOptions
): TinkerError.InvalidInput | undefined =>
  maxConcurrent === undefined || (Number.isInteger(maxConcurrent) && maxConcurrent > 0)
    ? undefined
    : invalid(method, "maxConcurrent", `is ${maxConcurrent}: give a whole number above 0`)

const counts = ["topk_prompt_logprobs", "topk_sample_logprobs", "prompt_alt_tokens_k"] as const

const checkCounts = (options: SampleOptions): TinkerError.InvalidInput | undefined => {
  const { num_samples = 1 } = options
  if (!Number.isInteger(num_samples) || num_samples < 1) {
    return invalid("sample", "num_samples", `is ${num_samples}: give a whole number above 0`)
  }
  for (const name of counts) {
    const count = options[name]
    if (count !== undefined && (!Number.isInteger(count) || count < 0)) {
      return invalid("sample", name, `is ${count}: give a whole number, or 0 for none`)
    }
  }
  return undefined
}

const checkLastN = ({ prompt_logprobs, prompt_logprobs_last_n: lastN }: SampleOptions) => {
  if (lastN === undefined) return undefined
  if (!Number.isInteger(lastN) || lastN < 1) {
    return invalid("sample", "prompt_logprobs_last_n", `is ${lastN}: give a whole number above 0`)
  }
  return prompt_logprobs === true
    ? undefined
    : invalid("sample", "prompt_logprobs_last_n", "needs `prompt_logprobs: true`")
}

const checkTargets = ({ target_prompt_logprobs: targets }: SampleOptions) => {
  if (targets === undefined) return undefined
  const problem = TensorData.problem(targets)
  if (problem !== undefined) return invalid("sample", "target_prompt_logprobs", problem)
  return targets.dtype === "int64"
    ? undefined
    : invalid("sample", "target_prompt_logprobs", "is not int64: give token ids")
}

const checkSchema = ({ json_schema: schema }: SampleOptions) => {
  const enforced = schema === undefined ? undefined : Sampling.enforceJsonSchema(schema)
  return enforced === undefined || Either.isRight(enforced)
    ? undefined
    : invalid("sample", enforced.left.path, enforced.left.reason)
}

const checkPrompt = (prompt: ModelInput.ModelInput) =>
  prompt.chunks.length === 0 || (ModelInput.isText(prompt) && ModelInput.length(prompt) === 0)
    ? invalid("sample", "prompt", "is empty: give it one token or more")
    : undefined

/** The first problem of a sample's arguments. @internal */
export const checkOptions = (
  prompt: ModelInput.ModelInput,
  options: SampleOptions
): TinkerError.InvalidInput | undefined =>
  checkCounts(options) ?? checkLastN(options) ?? checkTargets(options) ?? checkSchema(options) ?? checkPrompt(prompt)
