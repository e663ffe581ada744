/**
 * Comparisons of two answers: models that judge them, and rewards from their judgements.
 *
 * ```ts
 * // a reward model, from pairs of which the first answer is preferred
 * const examples = pairs.flatMap(Comparison.bothOrders).map((one) => Comparison.toExample(one, form))
 * // and a group whose episodes are rewarded by it
 * const judge = Comparison.judge({ client, form })
 * const group = {
 *   ...Env.problem({ prompt, stop, size: 8, decode, grade: () => 0 }),
 *   rewards: Comparison.rewards(judge, { answerOf: ({ logs }) => ({ prompt, answer: logs?.["answer"] ?? "" }) })
 * }
 * ```
 *
 * A judgement is a number from -1, the first answer is better, to 1, the second is.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as Effect from "effect/Effect"
import type { InvalidJudgement } from "./internal/comparisons/errors.ts"
import { tournament } from "./internal/comparisons/tournament.ts"
import type * as Nll from "./Nll.ts"
import type * as Trajectory from "./Trajectory.ts"

export { InvalidJudgement } from "./internal/comparisons/errors.ts"

/**
 * Two answers to a prompt.
 *
 * @since 0.1.0
 * @category models
 */
export interface Comparison {
  readonly prompt: string
  readonly first: string
  readonly second: string
}

/**
 * A comparison with the answer that is better, if one is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Labelled extends Comparison {
  readonly better: "first" | "second" | "neither"
}

/**
 * How a model reads a comparison, and what it says of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Form {
  readonly prompt: (comparison: Comparison) => ReadonlyArray<number>
  /** the tokens of each verdict; the first ones of different verdicts should differ */
  readonly verdicts: { readonly [better in Labelled["better"]]: ReadonlyArray<number> }
}

/**
 * Judges two answers: from -1, the first is better, to 1.
 *
 * @since 0.1.0
 * @category models
 */
export type Judge<E = never, R = never> = (comparison: Comparison) => Effect.Effect<number, E, R>

/**
 * A form in plain text, with the verdicts `A`, `B` and `Tie`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const textForm = (encode: (text: string) => ReadonlyArray<number>): Form => ({
  prompt: ({ first, prompt, second }) =>
    encode(`Prompt:\n${prompt}\n\nA:\n${first}\n\nB:\n${second}\n\nThe better answer (A, B or Tie):`),
  verdicts: { first: encode(" A"), second: encode(" B"), neither: encode(" Tie") }
})

const swapped = { first: "second", second: "first", neither: "neither" } as const

/**
 * A comparison, and the same with its answers in the other order: a model that is shown both does not prefer a place.
 *
 * @since 0.1.0
 * @category combinators
 */
export const bothOrders = (self: Labelled): readonly [Labelled, Labelled] => [
  self,
  { prompt: self.prompt, first: self.second, second: self.first, better: swapped[self.better] }
]

/**
 * The example that teaches a model the verdict, for `Supervised.run`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toExample = (self: Labelled, form: Form): Nll.Example =>
  Datum.fromPromptCompletion(form.prompt(self), form.verdicts[self.better])

/** The logprob of a verdict. */
const logprobOf = (
  client: Pick<SamplingClient.SamplingClient, "computeLogprobs">,
  prompt: ReadonlyArray<number>,
  verdict: ReadonlyArray<number>
) =>
  Effect.map(client.computeLogprobs(ModelInput.fromTokens([...prompt, ...verdict])), (logprobs) =>
    logprobs.subarray(prompt.length).reduce((sum, value) => sum + value, 0)
  )

/**
 * A model as a judge, by the probabilities of its verdicts: that of the second minus that of the first, of all three. It is
 * asked in both orders, so that a preference for a place is no preference, unless `order` is `given`.
 *
 * @since 0.1.0
 * @category judges
 */
export const judge = (options: {
  readonly client: Pick<SamplingClient.SamplingClient, "computeLogprobs">
  readonly form: Form
  readonly order?: "both" | "given" | undefined
}): Judge<TinkerError.TinkerError> => {
  const { client, form, order = "both" } = options
  const ask: Judge<TinkerError.TinkerError> = (comparison) =>
    Effect.map(
      Effect.forEach(
        [form.verdicts.first, form.verdicts.second, form.verdicts.neither],
        (verdict) => logprobOf(client, form.prompt(comparison), verdict),
        { concurrency: "unbounded" }
      ),
      (logprobs) => {
        const peak = Math.max(...logprobs)
        const [first, second, neither] = logprobs.map((logprob) => Math.exp(logprob - peak)) as [number, number, number]
        return (second - first) / (first + second + neither)
      }
    )
  if (order === "given") return ask
  return ({ first, prompt, second }) =>
    Effect.zipWith(
      ask({ prompt, first, second }),
      ask({ prompt, first: second, second: first }),
      (there, back) => (there - back) / 2,
      { concurrent: true }
    )
}

/**
 * The `rewards` of a group of environments: each episode's answer meets those of `opponents` others, all by default, and
 * earns the mean of the judgements, from -1 to 1. Fails with `InvalidJudgement` where a judge returns something else. Fewer
 * opponents, in an even number, are the nearest ones in the order of the group, so that all have as many.
 *
 * @since 0.1.0
 * @category rewards
 */
export const rewards =
  <E, R>(
    judge: Judge<E, R>,
    options: {
      readonly answerOf: (trajectory: Trajectory.Trajectory) => { readonly prompt: string; readonly answer: string }
      readonly opponents?: number | undefined
    }
  ) =>
  (
    trajectories: ReadonlyArray<Trajectory.Trajectory>
  ): Effect.Effect<ReadonlyArray<number>, E | InvalidJudgement, R> => {
    const answers = trajectories.map(options.answerOf)
    return tournament(answers.length, options.opponents, (a, b) =>
      judge({ prompt: answers[a]!.prompt, first: answers[a]!.answer, second: answers[b]!.answer })
    )
  }
