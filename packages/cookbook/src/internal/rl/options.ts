/** What a run of reinforcement learning is given, and its validation. */
import type * as LossFn from "@effect-tinker/api/LossFn"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Training from "@effect-tinker/api/Training"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Effect from "effect/Effect"
import type * as Advantages from "../../Advantages.ts"
import type * as LearningRate from "../../LearningRate.ts"
import type * as RunDirectory from "../../RunDirectory.ts"
import type { EnvGroup } from "../environments/model.ts"
import type * as rollouts from "../rollouts/model.ts"
import { type Checkpoints, InvalidRun, type Model } from "../supervised/options.ts"
import type { Example } from "../trajectories/model.ts"

/**
 * Groups of environments by step. Those of a step depend on the step alone, and may take random numbers from Effect's
 * `Random`, which is seeded by the step. Steps without groups end the run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source<E = never, R = never> {
  readonly at: (step: number) => Effect.Effect<ReadonlyArray<EnvGroup<E, R>>, E, R>
  /** tells these groups, in this order, from any other; a run is not resumed with another */
  readonly fingerprint?: string | undefined
}

/**
 * What follows a policy gradient: a loss of the service and its parameters.
 *
 * @since 0.1.0
 * @category models
 */
export interface Loss {
  readonly name: "importance_sampling" | "ppo" | "cispo" | "dro" | "gspo" | "stable_reinforce"
  readonly config?: LossFn.Config | undefined
}

/**
 * Changes the advantages of a step's data by token, such as by what a teacher thinks of each. It returns what to add to the
 * advantages of each example, one number a target, and values for the row.
 *
 * @since 0.1.0
 * @category models
 */
export type Shaping<E = never, R = never> = (examples: ReadonlyArray<Example>) => Effect.Effect<
  {
    readonly added: ReadonlyArray<ArrayLike<number>>
    readonly metrics?: { readonly [name: string]: number } | undefined
  },
  E,
  R
>

/**
 * Something that is measured before a step: before the first, then before every `every`-th, and behind the last one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Evaluation<E = never, R = never> {
  readonly every: number
  readonly run: (context: {
    readonly step: number
    readonly training: TrainingClient.TrainingClient
    /** samples from the weights that the step starts with */
    readonly sampling: SamplingClient.SamplingClient
  }) => Effect.Effect<{ readonly [name: string]: number | undefined }, E, R>
}

/**
 * Stops the run with `AlarmRaised` when a metric leaves its bounds, such as `optim/entropy` or `optim/kl_sample_train_v1`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Alarm {
  readonly metric: string
  readonly above?: number | undefined
  readonly below?: number | undefined
}

/**
 * Draws the policy to a reference: `coefficient · (mean of d - d)` is added to the advantage of each token, where `d` is its
 * logprob when sampled minus that of the reference.
 *
 * @since 0.1.0
 * @category models
 */
export interface KlPenalty {
  readonly coefficient: number
  /** the `tinker://` path of sampler weights; the weights with which the run began by default, also when it resumes */
  readonly reference?: string | undefined
  /**
   * from 0 to 1: each token answers for the penalties of later ones as well, discounted by this for each token between; 0
   * by default
   */
  readonly discount?: number | undefined
}

/**
 * What is left out of training because what trains thinks otherwise of it than what sampled it: its advantage is 0.
 *
 * - `token`: tokens whose probability has already moved by more than `above` where its advantage leads it; 0.2 by default
 * - `sequence`: all tokens of a datum for which the product of the ratios, trainer against sampler, is out of the bounds
 *
 * @since 0.1.0
 * @category models
 */
export type Mismatch =
  | { readonly by: "token"; readonly above?: number | undefined }
  | { readonly by: "sequence"; readonly ratio: readonly [low: number, high: number] }

/**
 * How sampling and training take turns. With `minibatches` above 1, the pass of each part of a step's groups is submitted as
 * soon as its groups are there; advantages are then taken by part.
 *
 * - `synchronous`: each step samples from the weights of the step before it.
 * - `strict`: groups are trained in their order, so that none is trained with weights more than `maxLag` steps newer than
 *   those that sampled it. A slow group holds the others up.
 * - `oldest_first`: groups are trained when they end, those of the oldest weights first. Nothing waits for a slow group and
 *   nothing is dropped, so that its lag has no bound. At most `(maxLag + 1)` steps' groups are begun and not trained.
 *
 * @since 0.1.0
 * @category models
 */
export type Mode =
  | { readonly mode: "synchronous"; readonly minibatches?: number | undefined }
  | {
      readonly mode: "strict" | "oldest_first"
      readonly maxLag: number
      readonly minibatches?: number | undefined
    }

/** @internal */
export interface Options<E = never, R = never> {
  readonly model: Model
  readonly groups: Source<E, R>
  readonly steps: number
  readonly learningRate: LearningRate.Schedule
  readonly adam?: Omit<typeof Training.AdamParams.Encoded, "learning_rate"> | undefined
  readonly loss?: Loss | undefined
  readonly advantages?: Advantages.Estimator | undefined
  readonly constantGroups?: "drop" | "keep" | undefined
  readonly substeps?: number | undefined
  readonly rollouts?: rollouts.Options | undefined
  readonly loop?: Mode | undefined
  readonly snapshots?: "session" | "saved" | undefined
  readonly shaping?: ReadonlyArray<Shaping<E | TinkerError.TinkerError, R>> | undefined
  readonly kl?: KlPenalty | undefined
  readonly mismatch?: Mismatch | undefined
  readonly postKl?: boolean | undefined
  readonly agreement?: number | undefined
  readonly alarms?: ReadonlyArray<Alarm> | undefined
  readonly seed?: number | undefined
  readonly evaluations?: ReadonlyArray<Evaluation<E | TinkerError.TinkerError, R>> | undefined
  readonly decode?: ((tokens: ArrayLike<number>) => string) | undefined
  readonly checkpoints?: Checkpoints | undefined
  readonly directory?: Pick<RunDirectory.Options, "path" | "resume"> | undefined
  readonly threads?: number | undefined
}

const isCount = (value: number | undefined, least: number): boolean =>
  value === undefined || (Number.isSafeInteger(value) && value >= least)

const isShare = (value: number | undefined): boolean => value === undefined || (value >= 0 && value <= 1)

const isMismatch = (mismatch: Mismatch | undefined): boolean => {
  if (mismatch === undefined) return true
  if (mismatch.by === "token") return (mismatch.above ?? 0) >= 0
  return mismatch.ratio[0] >= 0 && mismatch.ratio[1] > mismatch.ratio[0]
}

/** The first option with a value that no run can have. */
const problemOf = <E, R>(options: Options<E, R>): InvalidRun | undefined => {
  const { checkpoints = {}, evaluations = [], learningRate, loop = { mode: "synchronous" } } = options
  const count = "must be a whole number of 1 or more"
  const { minibatches } = loop
  const checks: ReadonlyArray<readonly [isValid: boolean, path: string, reason: string]> = [
    [isCount(options.steps, 1), "steps", count],
    [isCount(options.substeps, 1), "substeps", count],
    [isCount(minibatches, 1), "loop.minibatches", count],
    [
      (minibatches ?? 1) === 1 || (options.substeps ?? 1) === 1,
      "substeps",
      "cannot be combined with minibatches: both divide a step"
    ],
    [loop.mode === "synchronous" || isCount(loop.maxLag, 0), "loop.maxLag", "must be a whole number of 0 or more"],
    [evaluations.every(({ every }) => isCount(every, 1)), "evaluations.every", count],
    [isCount(checkpoints.every, 1), "checkpoints.every", count],
    [isCount(checkpoints.rolling?.every, 1), "checkpoints.rolling.every", count],
    [Number.isSafeInteger(options.seed ?? 0), "seed", "must be a whole number below 2^53"],
    [
      Number.isFinite(learningRate.peak) && learningRate.peak >= 0,
      "learningRate.peak",
      "must be a number of 0 or more"
    ],
    [
      options.kl === undefined || (Number.isFinite(options.kl.coefficient) && options.kl.coefficient >= 0),
      "kl.coefficient",
      "must be a number of 0 or more"
    ],
    [isShare(options.kl?.discount), "kl.discount", "must be a number from 0 to 1"],
    [isMismatch(options.mismatch), "mismatch", "must have a bound of 0 or more, or two in order"],
    [
      options.mismatch === undefined || !["dro", "gspo"].includes(options.loss?.name ?? ""),
      "mismatch",
      `cannot be combined with the loss ${options.loss?.name}, which trains tokens without an advantage as well`
    ],
    [
      options.loss?.name !== "stable_reinforce" || options.rollouts?.recordStabilityInfo === true,
      "rollouts.recordStabilityInfo",
      "must be true for the loss stable_reinforce"
    ]
  ]
  const failed = checks.find(([isValid]) => !isValid)
  return failed === undefined ? undefined : new InvalidRun({ path: failed[1], reason: failed[2] })
}

/** @internal */
export const validate = <E, R>(options: Options<E, R>): Effect.Effect<void, InvalidRun> =>
  Effect.suspend(() => problemOf(options) ?? Effect.void)
