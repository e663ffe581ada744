/** A client that remembers what was sampled by it. */
import * as Sampling from "@effect-tinker/api/Sampling"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Policy } from "../environments/model.ts"
import type { Turn } from "../trajectories/model.ts"

/** @internal */
export type LocalSampling = Pick<SamplingClient.SamplingClient, "sample" | "stream">

/** Requests without a seed get that of their number. What is streamed comes in one piece. @internal */
export const recording = (
  policy: Policy
): { readonly sampling: LocalSampling; readonly turns: ReadonlyArray<Turn> } => {
  const turns: Array<Turn> = []
  let requests = 0
  const sample: LocalSampling["sample"] = (prompt, options = {}) =>
    Effect.suspend(() => {
      const seed = policy.seed(requests++)
      const sampling_params = { seed, ...options.sampling_params }
      return Effect.tap(policy.sample(prompt, { ...options, sampling_params }), ({ sequences }) =>
        Effect.map(Effect.orDie(Sampling.withLogprobs(sequences)), (all) => {
          for (const action of all) turns.push({ observation: prompt, action, reward: 0 })
        })
      )
    })
  const stream: LocalSampling["stream"] = (prompt, options = {}) =>
    Stream.fromEffect(
      Effect.map(sample(prompt, { sampling_params: options.sampling_params }), (response) => {
        const { logprobs, stop_reason, tokens } = response.sequences[0]!
        const { prompt_cache_hit_tokens } = response
        return { tokens, logprobs, stop_reason, prompt_cache_hit_tokens }
      })
    )
  return { sampling: { sample, stream }, turns }
}
