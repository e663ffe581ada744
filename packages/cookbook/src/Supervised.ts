/**
 * Supervised training. One loop that keeps the service busy, measures before the step, saves behind it, and resumes
 * exactly: a run that was killed at any point and resumed has the losses and the weights of one that was not.
 *
 * ```ts
 * const result = yield* Supervised.run({
 *   model: { base_model: "Qwen/Qwen3-8B", rank: 32, seed: 0 },
 *   batches,
 *   steps: 300,
 *   learningRate: LearningRate.linear(yield* LearningRate.recommended("Qwen/Qwen3-8B")),
 *   evaluations: [Supervised.heldOut(test, { every: 20 })],
 *   checkpoints: { every: 50 },
 *   directory: { path: "runs/first", resume: true }
 * })
 * ```
 *
 * - **Order.** Before a step, the evaluations that are due are submitted, then its pass, its update, and the saves that are
 *   due behind it. `ahead` further steps are submitted before the result of a step is awaited. A checkpoint that holds `n`
 *   steps is recorded as `batch: n` when it is saved, behind the rows of all steps that it holds.
 * - **Randomness.** The batch of a step depends on the step alone, and random numbers that batches and evaluations take
 *   from Effect's `Random` on the step and `seed`.
 * - **Equal bits** are those of the service: the embedded engine promises them for an equal number of threads, which
 *   `threads` stores with the run.
 *
 * @since 0.1.0
 */
import * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Training from "@effect-tinker/api/Training"
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Cost from "./Cost.ts"
import type * as DataReport from "./DataReport.ts"
import type * as supervised from "./internal/supervised/options.ts"
import type { StopReason } from "./internal/supervised/limits.ts"
import * as loop from "./internal/supervised/run.ts"
import type * as LearningRate from "./LearningRate.ts"
import type * as Metrics from "./Metrics.ts"
import * as Nll from "./Nll.ts"
import type * as RunDirectory from "./RunDirectory.ts"

export type { StopReason } from "./internal/supervised/limits.ts"
export {
  type Budget,
  type Checkpoints,
  type EarlyStop,
  type Evaluation,
  InvalidRun,
  type Loss,
  type Model,
  type Source,
  type Values
} from "./internal/supervised/options.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> {
  readonly model: supervised.Model
  readonly batches: supervised.Source<E, R>
  /** the number of steps of the whole run, also of one that resumes */
  readonly steps: number
  readonly learningRate: LearningRate.Schedule
  /** `cross_entropy` by default; rows then have `train_loss` and what the loss reports in place of `train_mean_nll` */
  readonly loss?: supervised.Loss<E, R> | undefined
  /** parameters of AdamW besides the learning rate: by default betas of 0.9 and 0.95, and an `eps` of 1e-8 */
  readonly adam?: Omit<typeof Training.AdamParams.Encoded, "learning_rate"> | undefined
  /** seed of the random numbers that batches and evaluations take; 0 by default */
  readonly seed?: number | undefined
  /** steps that are submitted before the result of a step is awaited; 1 by default, 0 for none */
  readonly ahead?: number | undefined
  readonly evaluations?: ReadonlyArray<supervised.Evaluation<E, R>> | undefined
  readonly earlyStop?: supervised.EarlyStop | undefined
  readonly budget?: supervised.Budget | undefined
  /** what the tokens cost, for the rows `cost/…` and the budget */
  readonly prices?: Cost.Prices | undefined
  /** When it succeeds, the run finishes the steps that it has submitted, saves its state, and ends. */
  readonly stop?: Effect.Effect<unknown> | undefined
  /** whether rows have `grad_norm`, if the service reports the norm of the gradient; false by default */
  readonly gradientNorm?: boolean | undefined
  /** for the rows `train_mean_bpb` */
  readonly decoder?: Nll.Decoder | undefined
  readonly checkpoints?: supervised.Checkpoints | undefined
  /** where the run is recorded, and resumes from; none by default */
  readonly directory?: Pick<RunDirectory.Options, "path" | "resume"> | undefined
  /** what is known of the data; the directory of the run keeps it, and the page of the run shows it */
  readonly data?: DataReport.DataReport | undefined
  /** the name of what rendered the data; stored with the run, which does not resume with another */
  readonly renderer?: string | undefined
  /** threads that the engine of the service computes with, where known; a run that resumes with others warns */
  readonly threads?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Result {
  /** the client that trained, open until the scope closes */
  readonly training: TrainingClient.TrainingClient
  /** the step at which this part of the run began: 0, or where it resumed */
  readonly from: number
  /** the number of steps that the run has done, in all of its parts */
  readonly steps: number
  readonly reason: StopReason
  /** the rows of all parts, in order, with one for what was measured behind the last step */
  readonly rows: ReadonlyArray<Metrics.Row>
  /** what was measured behind the last step; empty if the run stopped by request */
  readonly evaluated: { readonly [name: string]: number | null }
  /** the last checkpoint; the final one, unless the run stopped by request or saves none */
  readonly checkpoint: RunDirectory.Checkpoint | undefined
}

/**
 * Everything that can end a run early, besides the errors of its batches and evaluations.
 *
 * @since 0.1.0
 * @category errors
 */
export type RunError =
  | TinkerError.TinkerError
  | supervised.InvalidRun
  | Metrics.MetricsError
  | RunDirectory.RunDirectoryError
  | RunDirectory.RunExists
  | RunDirectory.RunMismatch

/**
 * Trains. The model is created, or loaded from the last checkpoint of the run in the directory.
 *
 * @since 0.1.0
 * @category running
 */
export const run: <E = never, R = never>(
  options: Options<E, R>
) => Effect.Effect<
  Result,
  E | RunError,
  R | ServiceClient.ServiceClient | Metrics.Metrics | FileSystem.FileSystem | Path.Path | Scope.Scope
> = loop.run

/**
 * The negative log-likelihood of examples that the run does not train on, as `NAME/nll`, and their bits per byte, as
 * `NAME/bpb`, if a decoder is given. It is one pass without gradients, at its place in the queue. The name is `test` by
 * default, and it is measured before every tenth step.
 *
 * @since 0.1.0
 * @category evaluations
 */
export const heldOut = (
  examples: ReadonlyArray<Nll.Example>,
  options: {
    readonly name?: string | undefined
    readonly every?: number | undefined
    readonly decoder?: Nll.Decoder | undefined
  } = {}
): supervised.Evaluation => {
  const { decoder, every = 10, name = "test" } = options
  return {
    every,
    submit: ({ training }) =>
      Effect.map(training.forward(examples, "cross_entropy"), (future) =>
        Effect.map(Fiber.join(future), (output) => ({
          [`${name}/nll`]: Nll.mean(output, examples),
          ...(decoder === undefined ? {} : { [`${name}/bpb`]: Nll.bitsPerByte(output, examples, decoder) })
        }))
      )
  }
}

/**
 * What the model writes after prompts, kept in `samples.jsonl` of the run's directory: before every `every`-th step, and
 * behind the last one. The weights are saved for it at their place in the queue, and expire after an hour.
 *
 * @since 0.1.0
 * @category evaluations
 */
export const samples = (options: {
  readonly prompts: ReadonlyArray<{ readonly text: string; readonly tokens: ReadonlyArray<number> }>
  readonly every: number
  readonly decode: (tokens: ReadonlyArray<number>) => string
  /** how to sample; greedily by default, 64 tokens at most */
  readonly sampling?: typeof Sampling.SamplingParams.Encoded | undefined
}): supervised.Evaluation => ({
  every: options.every,
  submit: ({ keep, step, training }) =>
    Effect.map(training.saveWeightsForSampler(`sample-${step}`, { ttl_seconds: 3600 }), (saved) =>
      Effect.gen(function* () {
        const { path } = yield* Fiber.join(saved)
        const client = yield* training.createSamplingClient(path)
        const texts = yield* Effect.forEach(
          options.prompts,
          ({ tokens }) =>
            Effect.map(
              client.sample(ModelInput.fromTokens(tokens), {
                sampling_params: { max_tokens: 64, temperature: 0, ...options.sampling }
              }),
              ({ sequences }) => options.decode(Array.from(sequences[0]?.tokens ?? []))
            ),
          { concurrency: "unbounded" }
        )
        for (const [i, { text }] of options.prompts.entries()) yield* keep({ prompt: text, text: texts[i]! })
        return {}
      })
    )
})
