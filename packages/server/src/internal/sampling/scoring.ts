/** Rejects the scoring options of a sample request before anything is computed: unsupported options, and bad shapes. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as Engine from "../../Engine.ts"
import { lossProblem } from "../work/offers.ts"

/** How many pairs of token and logprob a response may hold: they take much more memory than numbers. */
const maxPairs = 2 ** 20

/** Whether a request scores its prompt. @internal */
export const scoresPrompt = (request: Sampling.SampleRequest): boolean =>
  request.prompt_logprobs ||
  request.topk_prompt_logprobs > 0 ||
  request.target_prompt_logprobs !== undefined ||
  (request.prompt_alt_tokens_k ?? 0) > 0

/** Why a request cannot be recorded for `stable_reinforce`; `undefined` if it can, or need not. */
const recordingProblem = (engine: Engine.Service, request: Sampling.SampleRequest): string | undefined => {
  if (request.record_stability_info !== true) return undefined
  const notOffered = lossProblem(engine, "stable_reinforce")
  if (notOffered !== undefined) return `record_stability_info: ${notOffered}`
  return request.sampling_session_id === undefined
    ? "record_stability_info needs a sampling_session_id: what is recorded belongs to a session"
    : undefined
}

const unsupported = ({ scoring = [] }: Engine.Service, request: Sampling.SampleRequest): string | undefined => {
  const option = Engine.scoringOptions.find((name) => (request[name] ?? 0) !== 0 && !scoring.includes(name))
  return option === undefined ? undefined : `${option}: the engine of this service does not compute it`
}

const lastNProblem = (
  { prompt_logprobs, prompt_logprobs_last_n: lastN }: Sampling.SampleRequest,
  length: number
): string | undefined => {
  if (lastN === undefined) return undefined
  if (!prompt_logprobs) return "prompt_logprobs_last_n needs prompt_logprobs"
  return lastN < length
    ? undefined
    : `prompt_logprobs_last_n is ${lastN}, but only ${length - 1} tokens of the prompt can be scored`
}

const targetsProblem = (
  { target_prompt_logprobs: targets }: Sampling.SampleRequest,
  length: number
): string | undefined => {
  if (targets === undefined) return undefined
  const reason = TensorData.problem(targets)
  if (reason !== undefined) return `target_prompt_logprobs ${reason}`
  if (targets.dtype !== "int64") return "target_prompt_logprobs is not int64: give token ids"
  const shape = TensorData.shapeOf(targets)
  return shape.length === 2 && shape[0] === length - 1
    ? undefined
    : `target_prompt_logprobs has the shape [${shape.join(", ")}], but must have one row for each prompt token but ` +
        `the first: [${length - 1}, K]`
}

/** The number of pairs in a response, by the option that causes them. */
const pairsProblem = (request: Sampling.SampleRequest, length: number, maxTokens: number): string | undefined => {
  const pairs = {
    topk_prompt_logprobs: length * request.topk_prompt_logprobs,
    topk_sample_logprobs: request.num_samples * maxTokens * (request.topk_sample_logprobs ?? 0),
    prompt_alt_tokens_k: length * (request.prompt_alt_tokens_k ?? 0)
  }
  const tooMany = Object.entries(pairs).find(([, count]) => count > maxPairs)
  return tooMany === undefined
    ? undefined
    : `${tooMany[0]} makes ${tooMany[1]} logprobs, but a response has at most ${maxPairs}: lower it, or send less`
}

/** Why a request cannot be scored; `undefined` if it can. `length` is of the prompt. @internal */
export const scoringProblem = (
  engine: Engine.Service,
  request: Sampling.SampleRequest,
  length: number,
  maxTokens: number
): string | undefined =>
  recordingProblem(engine, request) ??
  unsupported(engine, request) ??
  lastNProblem(request, length) ??
  targetsProblem(request, length) ??
  pairsProblem(request, length, maxTokens)
