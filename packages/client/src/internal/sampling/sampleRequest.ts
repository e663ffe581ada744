/** The request of a sample in the form of the wire. */
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type { SampleOptions } from "./options.ts"

/** @internal */
export interface SampleInput {
  readonly prompt: ModelInput.ModelInput
  readonly options: SampleOptions
  readonly samplingParams: typeof Sampling.SamplingParams.Type
}

const optional = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V })

/** All attempts of a submission have the same `seqId`, by which the service deduplicates them. @internal */
export const sampleRequest = (
  samplingSessionId: string,
  seqId: number,
  { options, prompt, samplingParams }: SampleInput
): typeof Sampling.SampleRequest.Type => ({
  num_samples: options.num_samples ?? 1,
  prompt,
  sampling_params: samplingParams,
  sampling_session_id: samplingSessionId,
  seq_id: seqId,
  prompt_logprobs: options.prompt_logprobs ?? false,
  topk_prompt_logprobs: options.topk_prompt_logprobs ?? 0,
  ...optional("topk_sample_logprobs", options.topk_sample_logprobs),
  ...optional("target_prompt_logprobs", options.target_prompt_logprobs),
  ...optional("prompt_alt_tokens_k", options.prompt_alt_tokens_k),
  ...optional("prompt_logprobs_last_n", options.prompt_logprobs_last_n),
  ...optional("record_stability_info", options.record_stability_info),
  ...optional("json_schema", options.json_schema),
  type: "sample" as const
})

/** Adds the ids that the service gave to the sequences when it accepted the request. @internal */
export const withSequenceIds = (
  response: Sampling.SampleResponse,
  ids: ReadonlyArray<string> | undefined
): Sampling.SampleResponse =>
  ids === undefined || ids.length !== response.sequences.length
    ? response
    : { ...response, sequences: response.sequences.map((sequence, i) => ({ ...sequence, sequence_id: ids[i]! })) }
