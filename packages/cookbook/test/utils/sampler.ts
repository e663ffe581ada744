/** A sampler that answers as a test says, and remembers what it was asked. */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as Effect from "effect/Effect"
import type * as Rollouts from "../../src/Rollouts.ts"

export interface Asked {
  readonly prompt: ReadonlyArray<number>
  readonly options: SamplingClient.SampleOptions
}

export interface Scripted extends Rollouts.Sampler {
  readonly asked: Array<Asked>
}

/** Sequence `i` of a request is `answer(request, i)`, cut at `max_tokens`. The logprob of a token is `-token / 100`. */
export const make = (answer: (asked: Asked, sequence: number) => ReadonlyArray<number>): Scripted => {
  const asked: Array<Asked> = []
  return {
    asked,
    sample: (prompt, options = {}) =>
      Effect.sync(() => {
        const request = { prompt: Array.from(ModelInput.toTokens(prompt)), options }
        asked.push(request)
        const limit = options.sampling_params?.max_tokens ?? Number.POSITIVE_INFINITY
        const sequences = Array.from({ length: options.num_samples ?? 1 }, (_, i) => {
          const whole = answer(request, i)
          const tokens = Int32Array.from(whole.slice(0, limit))
          return {
            tokens,
            logprobs: Float32Array.from(tokens, (token) => -token / 100),
            stop_reason: whole.length > limit ? ("length" as const) : ("stop" as const)
          }
        })
        return { sequences, prompt_cache_hit_tokens: 0, type: "sample" as const }
      })
  }
}
