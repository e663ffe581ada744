/**
 * Learning from preferences: pairs of an answer that is preferred and one that is not.
 *
 * ```ts
 * const result = yield* Preference.run({
 *   model: { base_model, rank: 16, weights: checkpoint.state_path },
 *   reference: checkpoint.sampler_path,
 *   pairs: Batches.make(pairs, { size: 16, seed: 0 }),
 *   loss: Preference.dpo({ beta: 0.1 }),
 *   nll: 0.1,
 *   steps: 20,
 *   learningRate: LearningRate.linear(1e-3)
 * })
 * ```
 *
 * - **The loop** is that of `Supervised`: it submits ahead, so that the forward pass of a step goes out together
 *   with the backward pass and the update of the step before; it saves, measures and resumes.
 * - **The reference** is a path, which is stored with the run: a run never resumes with its own weights as the reference.
 *   The logprobs of an answer under it are computed once.
 * - **Rows** have `train_loss`, `accuracy` (of pairs whose chosen answer has the larger log ratio), `margin`,
 *   `chosen_reward`, `rejected_reward` (beta times the log ratio) and `num_pairs`. Pair accuracy alone says little: it rises
 *   while both answers become unlikely. Measure what the model writes as well.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Effect from "effect/Effect"
import * as losses from "./internal/preferences/losses.ts"
import * as Supervised from "./Supervised.ts"

export type { Pair, PairLoss, Ratios } from "./internal/preferences/losses.ts"

/**
 * Direct preference optimization: `-log σ(beta · (chosen - rejected))` of the log ratios; beta is 0.1 by default.
 *
 * @since 0.1.0
 * @category losses
 */
export const dpo: (options?: { readonly beta?: number | undefined }) => losses.PairLoss = losses.dpo

/**
 * Identity preference optimization: `(chosen - rejected - 1 / (2 beta))²` of the log ratios; beta is 0.1 by default.
 *
 * @since 0.1.0
 * @category losses
 */
export const ipo: (options?: { readonly beta?: number | undefined }) => losses.PairLoss = losses.ipo

/**
 * The hinge of sequence likelihood calibration: `max(0, 1 - beta · (chosen - rejected))` of the log ratios; beta is 0.1 by
 * default.
 *
 * @since 0.1.0
 * @category losses
 */
export const hinge: (options?: { readonly beta?: number | undefined }) => losses.PairLoss = losses.hinge

/**
 * A pair of answers to a prompt.
 *
 * @throws RangeError when a value is not a token id, or an answer is empty.
 * @since 0.1.0
 * @category constructors
 */
export const pair = (
  prompt: ArrayLike<number>,
  answers: { readonly chosen: ArrayLike<number>; readonly rejected: ArrayLike<number> }
): losses.Pair => {
  for (const [name, answer] of Object.entries(answers))
    if (answer.length === 0) throw new RangeError(`${name} is empty`)
  return {
    chosen: Datum.fromPromptCompletion(prompt, answers.chosen),
    rejected: Datum.fromPromptCompletion(prompt, answers.rejected)
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> extends Omit<Supervised.Options<E, R>, "batches" | "loss" | "decoder"> {
  /** pairs by step, such as `Batches.make(pairs, { size: 16 })` */
  readonly pairs: {
    readonly at: (step: number) => Effect.Effect<ReadonlyArray<losses.Pair>, E, R>
    readonly stepsPerEpoch?: number | undefined
    readonly fingerprint?: string | undefined
  }
  /** `dpo()` by default */
  readonly loss?: losses.PairLoss | undefined
  /** how much of the negative log-likelihood of the chosen answer is added; 0 by default. It keeps the answers likely */
  readonly nll?: number | undefined
  /** the `tinker://` path of the reference's sampler weights; the base model by default */
  readonly reference?: string | undefined
}

const referenceClient = ({ model, reference }: Pick<Options, "model" | "reference">) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    if (reference !== undefined) return yield* service.createSamplingClient({ model_path: reference })
    if (model.weights === undefined) return yield* service.createSamplingClient({ base_model: model.base_model })
    return yield* new Supervised.InvalidRun({
      path: "reference",
      reason: "is missing: give the sampler path of the weights that the run starts from"
    })
  })

/**
 * Trains on pairs, with another loss the loop of `Supervised`.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <E = never, R = never>(options: Options<E, R>) =>
  Effect.gen(function* () {
    const { loss = dpo(), nll = 0, pairs, reference, ...supervised } = options
    const client = yield* referenceClient({ model: options.model, reference })
    const made = losses.toLoss(loss, nll, client)
    return yield* Supervised.run<E, R>({
      ...supervised,
      loss: { ...made, name: `${made.name}, reference ${reference ?? "base model"}` },
      batches: { ...pairs, at: (step) => Effect.map(pairs.at(step), losses.interleave) }
    })
  })

/**
 * How a model ranks pairs against a reference, by the rewards that its log ratios imply: `NAME/accuracy` and
 * `NAME/margin`, measured by one pass. The name is `test` by default.
 *
 * @since 0.1.0
 * @category evaluations
 */
export const heldOut = (
  pairs: ReadonlyArray<losses.Pair>,
  options: {
    /** the sampling client of the reference */
    readonly reference: losses.Reference
    readonly every: number
    readonly name?: string | undefined
    readonly beta?: number | undefined
  }
): Supervised.Evaluation => {
  const { beta = 0.1, every, name = "test", reference } = options
  const logprobOf = losses.cached(reference)
  const batch = losses.interleave(pairs)
  return {
    every,
    submit: ({ training }) =>
      Effect.map(losses.submitForward(training, batch), (sums) =>
        Effect.gen(function* () {
          const references = yield* Effect.forEach(batch, logprobOf, { concurrency: "unbounded" })
          const { accuracy, margin } = losses.metricsOf(losses.ratiosOf(yield* sums, references), { beta })
          return { [`${name}/accuracy`]: accuracy, [`${name}/margin`]: margin }
        })
      )
  }
}
