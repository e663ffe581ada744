/**
 * JSON codecs for the messages of a sample, without the intermediate objects of schemas, which are most of what a
 * program allocates while thousands of samples are in flight. They write and read what the schemas do. `undefined`
 * means: use the schema.
 */
import type * as Future from "@effect-tinker/api/Future"
import type * as Sampling from "@effect-tinker/api/Sampling"

/** @internal */
export const encodeSampleRequest = (payload: unknown): string | undefined => {
  const { prompt, target_prompt_logprobs, ...rest } = payload as Sampling.SampleRequest
  if (target_prompt_logprobs !== undefined) return undefined
  let chunks = ""
  for (const chunk of prompt.chunks) {
    if (chunk.type !== "encoded_text" || !(chunk.tokens instanceof Int32Array)) return undefined
    chunks += `${chunks === "" ? "" : ","}{"type":"encoded_text","tokens":[${chunk.tokens.join(",")}]}`
  }
  return `{"prompt":{"chunks":[${chunks}]},${JSON.stringify(rest).slice(1)}`
}

/** @internal */
export const encodeRetrieveFuture = (payload: unknown): string => {
  const { allow_metadata_only, request_id } = payload as typeof Future.RetrieveFutureRequest.Type
  return `{"request_id":${JSON.stringify(request_id)},"allow_metadata_only":${allow_metadata_only}}`
}

const isText = (value: unknown): value is string => typeof value === "string"

/** @internal */
export const decodeEnvelope = (body: string): Future.FutureEnvelope | undefined => {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const { model_id, request_id, sample_sequence_ids } = value as { readonly [name: string]: unknown }
  if (!isText(request_id) || (model_id !== undefined && !isText(model_id))) return undefined
  const envelope = model_id === undefined ? { request_id } : { request_id, model_id }
  if (sample_sequence_ids === undefined) return envelope
  return Array.isArray(sample_sequence_ids) && sample_sequence_ids.every(isText)
    ? { ...envelope, sample_sequence_ids }
    : undefined
}
