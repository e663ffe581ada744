/**
 * Samples from a base model, or from weights as they were when they were saved.
 *
 * @since 0.1.0
 */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as codec from "./internal/codec.ts"
import { retrieve } from "./internal/retrieve.ts"
import * as QueueState from "./QueueState.ts"
import type * as TinkerClient from "./TinkerClient.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleOptions {
  /** independent samples of the same prompt; 1 by default */
  readonly num_samples?: number | undefined
  readonly sampling_params?: typeof Sampling.SamplingParams.Encoded | undefined
  /** score the prompt's tokens as well */
  readonly prompt_logprobs?: boolean | undefined
  /** the most likely tokens at each prompt position, so many of them */
  readonly topk_prompt_logprobs?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SamplingClient {
  readonly samplingSessionId: string
  /** Submits one request and waits for its samples. Run many at once with `Effect.all` or `Effect.forEach`. */
  readonly sample: (
    prompt: ModelInput.ModelInput,
    options?: SampleOptions
  ) => Effect.Effect<Sampling.SampleResponse, TinkerError.TinkerError>
  /** The logprob of each prompt token given those before it; `NaN` for the first, which nothing precedes. */
  readonly computeLogprobs: (prompt: ModelInput.ModelInput) => Effect.Effect<Float32Array, TinkerError.TinkerError>
  /** why results keep one waiting */
  readonly queueState: QueueState.Observable
}

/**
 * @since 0.1.0
 * @category tags
 */
export const SamplingClient = Context.GenericTag<SamplingClient>("@effect-tinker/client/SamplingClient")

const invalid = (path: string, reason: string) => new TinkerError.InvalidInput({ method: "sample", path, reason })
const readParams = codec.input("sample", "sampling_params", Sampling.SamplingParams)

/**
 * A client for a sampling session that exists.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function* (
  client: TinkerClient.Service,
  samplingSessionId: string
): Effect.fn.Return<SamplingClient> {
  const queueState = yield* QueueState.make(`Sampling from ${samplingSessionId}`)
  let nextSeqId = 0

  const sample = Effect.fn("SamplingClient.sample")(function* (
    prompt: ModelInput.ModelInput,
    options: SampleOptions = {}
  ) {
    const num_samples = options.num_samples ?? 1
    const topk_prompt_logprobs = options.topk_prompt_logprobs ?? 0
    if (!Number.isInteger(num_samples) || num_samples < 1) {
      return yield* invalid("num_samples", `is ${num_samples}: give a whole number above 0`)
    }
    if (!Number.isInteger(topk_prompt_logprobs) || topk_prompt_logprobs < 0) {
      return yield* invalid("topk_prompt_logprobs", `is ${topk_prompt_logprobs}: give a whole number, or 0 for none`)
    }
    if (prompt.chunks.length === 0 || (ModelInput.isText(prompt) && ModelInput.length(prompt) === 0)) {
      return yield* invalid("prompt", "is empty: give it one token or more")
    }
    const sampling_params = yield* readParams(options.sampling_params ?? {})
    const { request_id } = yield* client.call(
      TinkerApi.asample,
      {
        num_samples,
        prompt,
        sampling_params,
        sampling_session_id: samplingSessionId,
        seq_id: nextSeqId++,
        prompt_logprobs: options.prompt_logprobs ?? false,
        topk_prompt_logprobs,
        type: "sample"
      },
      { method: "sample", headers: { "x-tinker-sampling-backpressure": "1" } }
    )
    return yield* retrieve(client, {
      method: "sample",
      requestId: request_id,
      type: "Sample",
      schema: Sampling.SampleResponse,
      protobuf: ProtobufCodec.decodeSampleResponse,
      queue: queueState
    })
  })

  return {
    samplingSessionId,
    sample,
    queueState: { current: queueState.current, changes: queueState.changes },
    computeLogprobs: Effect.fn("SamplingClient.computeLogprobs")(function* (prompt) {
      const response = yield* sample(prompt, { sampling_params: { max_tokens: 1 }, prompt_logprobs: true })
      return (
        response.prompt_logprobs ??
        (yield* new TinkerError.DecodeError({ method: "computeLogprobs", reason: "prompt_logprobs: is missing" }))
      )
    })
  }
})
