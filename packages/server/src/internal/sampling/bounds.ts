/** Bounds of the numbers in a sample request, checked before anything that grows with them is allocated. */
import type * as Sampling from "@effect-tinker/api/Sampling"

const maxSamples = 4096
/** over all samples of a request */
const maxSampledTokens = 2 ** 22
const maxTopK = 2 ** 31 - 1
const maxStops = 1024
const maxStopLength = 4096

const stopProblem = (stop: Sampling.SamplingParams["stop"]): string | undefined => {
  const stops: ReadonlyArray<string | number> = typeof stop === "string" ? [stop] : (stop ?? [])
  if (stops.length > maxStops) return `stop has ${stops.length} items, but at most ${maxStops} are allowed`
  const long = stops.find((item) => typeof item === "string" && item.length > maxStopLength)
  return long === undefined ? undefined : `stop has a string of more than ${maxStopLength} characters`
}

/** The first number that is too large, whatever the prompt; `undefined` if none is. @internal */
export const numbersProblem = ({ num_samples, sampling_params }: Sampling.SampleRequest): string | undefined => {
  const { stop, top_k } = sampling_params
  if (num_samples > maxSamples) return `num_samples is ${num_samples}, but at most ${maxSamples} are allowed`
  if (top_k > maxTopK) return `top_k is ${top_k}, but at most ${maxTopK} is allowed`
  return stopProblem(stop)
}

/** Whether a request may sample too many tokens in all. @internal */
export const totalProblem = (num_samples: number, maxTokens: number): string | undefined =>
  num_samples * maxTokens > maxSampledTokens
    ? `${num_samples} samples of ${maxTokens} tokens are more than the ${maxSampledTokens} tokens of one request: lower ` +
      "num_samples or max_tokens"
    : undefined
