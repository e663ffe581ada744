/**
 * Learning from a teacher.
 *
 * | | the student learns from |
 * |---|---|
 * | `onPolicy` | what the teacher thinks of each token that the student samples: a `shaping` of `Rl.run` |
 * | `topK` | the K tokens that the teacher finds most likely at each position of given texts: examples for `Supervised.run` |
 * | `answers` | what the teacher answers: examples for `Supervised.run` |
 *
 * With a `context`, which only the teacher reads before each text, the student learns to do without it: prompt distillation.
 * With its own earlier weights as the teacher, it is self-distillation.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as Sampling from "@effect-tinker/api/Sampling"
import * as Effect from "effect/Effect"
import { wholeOf, withTargets } from "./internal/distillation/topK.ts"
import { discountedSums } from "./internal/trajectories/discount.ts"
import type * as Nll from "./Nll.ts"
import type * as Rl from "./Rl.ts"

/**
 * What teaches: a sampling client, or anything that computes logprobs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Teacher {
  readonly client: Pick<SamplingClient.SamplingClient, "computeLogprobs">
  /** tokens that only the teacher reads, before each text; none by default */
  readonly context?: ReadonlyArray<number> | undefined
}

/**
 * Adds `-coefficient · (logprob when sampled - logprob of the teacher)` to the advantage of each sampled token: on average,
 * the negative reverse divergence to the teacher. The coefficient is 1 by default. With a `discount`, 0 by default, each token
 * answers for later ones as well, as in `Rl.KlPenalty`. Environments may reward as well, or
 * return 0 and keep constant groups (`constantGroups: "keep"`). Rows have `teacher_kl`, in nats a token.
 *
 * @since 0.1.0
 * @category shapings
 */
export const onPolicy =
  (
    teacher: Teacher,
    coefficient = 1,
    { discount = 0 }: { readonly discount?: number | undefined } = {}
  ): Rl.Shaping<TinkerError.TinkerError> =>
  (examples) =>
    Effect.map(
      Effect.forEach(
        examples,
        ({ datum }) =>
          Effect.map(teacher.client.computeLogprobs(wholeOf(datum, teacher.context ?? [])), (logprobs) =>
            // the first position, or the context, predicts none of the targets
            logprobs.subarray(logprobs.length - datum.loss_fn_inputs.target_tokens.data.length)
          ),
        { concurrency: "unbounded" }
      ),
      (all) => {
        let sum = 0
        let tokens = 0
        const added = examples.map(({ datum, mask }, i) => {
          const sampled = datum.loss_fn_inputs.logprobs.data
          const own = mask.map((flag, at) => {
            if (!(flag > 0)) return 0
            const difference = Number(sampled[at]) - all[i]![at]!
            sum += difference
            tokens++
            return -coefficient * difference
          })
          return discountedSums(own, mask, discount)
        })
        return { added, metrics: { teacher_kl: sum / Math.max(1, tokens) } }
      }
    )

/**
 * Examples whose targets are the teacher's K most likely tokens at each position that has weight, with their probabilities
 * renormalized over the K, times the weight. `k` is 20 by default, and at most `concurrency` requests, 64 by default, are in
 * flight. The first `skip` positions with weight are left out, none by default.
 *
 * @since 0.1.0
 * @category constructors
 */
export const topK = (
  examples: ReadonlyArray<Nll.Example>,
  options: {
    readonly client: Pick<SamplingClient.SamplingClient, "sample">
    readonly context?: ReadonlyArray<number> | undefined
    readonly k?: number | undefined
    readonly skip?: number | undefined
    readonly concurrency?: number | undefined
  }
): Effect.Effect<ReadonlyArray<Nll.Example>, TinkerError.TinkerError> => {
  const { client, concurrency = 64, context = [], k = 20, skip = 0 } = options
  const teach = (example: Nll.Example) =>
    Effect.flatMap(
      client.sample(wholeOf(example, context), { topk_prompt_logprobs: k, sampling_params: { max_tokens: 1 } }),
      ({ topk_prompt_logprobs }) => {
        const taught =
          topk_prompt_logprobs === undefined ? undefined : withTargets(example, topk_prompt_logprobs, k, skip)
        const reason = "topk_prompt_logprobs: lacks a position that has weight"
        return taught === undefined
          ? Effect.fail(new TinkerError.DecodeError({ method: "sample", reason }))
          : Effect.succeed(taught)
      }
    )
  return Effect.forEach(examples, teach, { concurrency })
}

/**
 * Examples from what the teacher answers to prompts that it reads behind the context; the student's example has the prompt
 * without it. Answers that do not end are left out. Each prompt is answered `samples` times, once by default, and its seed
 * is that of `sampling` plus the number of the prompt.
 *
 * @since 0.1.0
 * @category constructors
 */
export const answers = (
  prompts: ReadonlyArray<ReadonlyArray<number>>,
  options: {
    readonly client: Pick<SamplingClient.SamplingClient, "sample">
    readonly context?: ReadonlyArray<number> | undefined
    readonly samples?: number | undefined
    readonly sampling?: typeof Sampling.SamplingParams.Encoded | undefined
  }
): Effect.Effect<ReadonlyArray<Nll.Example>, TinkerError.TinkerError> => {
  const { client, context = [], samples = 1, sampling = {} } = options
  const answer = (prompt: ReadonlyArray<number>, i: number) =>
    Effect.map(
      client.sample(ModelInput.fromTokens([...context, ...prompt]), {
        num_samples: samples,
        sampling_params: { ...sampling, seed: (sampling.seed ?? 0) + i }
      }),
      ({ sequences }) =>
        sequences
          .filter(({ stop_reason, tokens }) => stop_reason === "stop" && tokens.length > 0)
          .map(({ tokens }) => Datum.fromPromptCompletion(prompt, tokens))
    )
  return Effect.map(Effect.forEach(prompts, answer, { concurrency: "unbounded" }), (all) => all.flat())
}
