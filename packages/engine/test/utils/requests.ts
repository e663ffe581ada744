/** Requests to an engine, with defaults for what a test does not care about. */
import type * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as Training from "@effect-tinker/api/Training"
import type * as Engine from "@effect-tinker/server/Engine"

/** LoRA on every linear layer. */
export const trainAll = { train_attn: true, train_mlp: true, train_unembed: true }

/** A batch for the loss `cross_entropy`. */
export const crossEntropy = (data: ReadonlyArray<Datum.Datum>): Engine.PassOptions => ({
  data,
  loss_fn: "cross_entropy",
  loss_fn_config: {}
})

export const adamParams: Training.AdamParams = {
  learning_rate: 1e-2,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-12,
  weight_decay: 0,
  grad_clip_norm: 0
}

const samplingParams: Sampling.SamplingParams = { max_tokens: 20, temperature: 1, top_k: -1, top_p: 1, seed: 1 }

export type SampleOptions = Omit<Partial<Engine.SampleOptions>, "sampling_params" | "prompt"> & {
  readonly prompt?: ReadonlyArray<number>
  readonly params?: Partial<Sampling.SamplingParams>
}

/** A request for one sequence of 20 tokens, unless the options differ. */
export const sampleRequest = ({ params, prompt, ...rest }: SampleOptions = {}): Engine.SampleOptions => ({
  num_samples: 1,
  prompt_logprobs: false,
  topk_prompt_logprobs: 0,
  ...rest,
  prompt: ModelInput.fromTokens(prompt ?? [10, 11, 12, 13]),
  sampling_params: { ...samplingParams, ...params }
})
