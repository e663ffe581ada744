/** What a supervised run is given, and the errors of what it is given. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Training from "@effect-tinker/api/Training"
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Cost from "../../Cost.ts"
import type * as DataReport from "../../DataReport.ts"
import type * as LearningRate from "../../LearningRate.ts"
import type * as Nll from "../../Nll.ts"
import type * as RunDirectory from "../../RunDirectory.ts"

/**
 * A run cannot start or go on with what it was given. `path` names the option, such as `steps` or `batches.at(12)`.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidRun extends Schema.TaggedError<InvalidRun>("@effect-tinker/cookbook/Supervised/InvalidRun")(
  "InvalidRun",
  { path: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `${this.path} ${this.reason}`
  }
}

/**
 * Batches by their position. The batch of a step depends on the step alone, so that a run resumes with nothing but the
 * number of its next step. It may take random numbers from Effect's `Random`, which is seeded by the step.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source<E = never, R = never> {
  /** the batch of a step, counted from 0 */
  readonly at: (step: number) => Effect.Effect<ReadonlyArray<Nll.Example>, E, R>
  /** steps for one pass over the data, where that is known; need not be whole */
  readonly stepsPerEpoch?: number | undefined
  /** tells this data, in this order, from any other; a run is not resumed with another */
  readonly fingerprint?: string | undefined
}

/**
 * Another loss than `cross_entropy`, such as a custom one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Loss<E = never, R = never> {
  /** stored with the run, which does not resume with another */
  readonly name: string
  /** submits the pass of a batch, and returns the effect that waits for its output */
  readonly submit: (
    training: TrainingClient.TrainingClient,
    batch: ReadonlyArray<Nll.Example>
  ) => Effect.Effect<
    Effect.Effect<Training.ForwardBackwardOutput, E | TinkerError.TinkerError, R>,
    E | TinkerError.TinkerError,
    R
  >
}

/**
 * The adapter to train: a new one, or one that starts from the weights of a checkpoint, with a new optimizer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Model extends ServiceClient.LoraOptions {
  /** the `tinker://` path of a training state to start from */
  readonly weights?: string | undefined
}

/**
 * Numbers by name; one that is not known is `undefined`.
 *
 * @since 0.1.0
 * @category models
 */
export type Values = { readonly [name: string]: number | undefined }

/**
 * Something that is measured on the weights before a step: before the first one, then before every `every`-th, and behind
 * the last one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Evaluation<E = never, R = never> {
  readonly every: number
  /**
   * Submits what is measured, at its place between the steps, and returns the effect that waits for the result. Random
   * numbers are seeded by the step.
   */
  readonly submit: (context: {
    readonly training: TrainingClient.TrainingClient
    readonly step: number
    /** keeps what the model wrote, in the directory of the run if it has one */
    readonly keep: (sample: {
      readonly prompt: string
      readonly text: string
    }) => Effect.Effect<void, RunDirectory.RunDirectoryError>
  }) => Effect.Effect<
    Effect.Effect<Values, E | TinkerError.TinkerError | RunDirectory.RunDirectoryError, R>,
    E | TinkerError.TinkerError,
    R
  >
}

/**
 * When to stop because an evaluation no longer improves.
 *
 * @since 0.1.0
 * @category models
 */
export interface EarlyStop {
  /** the name in the rows, such as `test/nll` */
  readonly metric: string
  /** evaluations in a row without improvement that end the run */
  readonly patience: number
  /** what counts as an improvement must be larger than this; 0 by default */
  readonly minDelta?: number | undefined
  /** whether lower is better, by default `min` */
  readonly mode?: "min" | "max" | undefined
}

/**
 * Limits of a run, its earlier parts included. No step is begun that would exceed them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  /** the time that the run takes, without the time between its parts */
  readonly seconds?: number | undefined
  /** tokens of the passes that train */
  readonly tokens?: number | undefined
  /** US dollars, by `prices` */
  readonly usd?: number | undefined
}

/**
 * What is saved, and when. Each save is submitted right behind its step.
 *
 * @since 0.1.0
 * @category models
 */
export interface Checkpoints {
  /** steps between saves of state and sampler weights; none by default */
  readonly every?: number | undefined
  /** how long the service keeps those; 7 days by default */
  readonly ttlSeconds?: number | undefined
  /**
   * Saves of the state alone between those, to lose little when the run is killed. Each replaces the one before. A save
   * that fails is a warning.
   */
  readonly rolling?:
    | {
        readonly every: number
        /** 2 hours by default */
        readonly ttlSeconds?: number | undefined
        /** deletes one that is replaced, such as `RestClient.deleteCheckpoint`; by default it expires */
        readonly remove?: ((path: string) => Effect.Effect<unknown, TinkerError.TinkerError>) | undefined
      }
    | undefined
  /** whether state and sampler weights are saved at the end, without an end to their time; true by default */
  readonly final?: boolean | undefined
  /** the name of those; `final` by default */
  readonly name?: string | undefined
}

/** @internal */
export interface Options<E = never, R = never> {
  readonly model: Model
  readonly batches: Source<E, R>
  readonly steps: number
  readonly learningRate: LearningRate.Schedule
  readonly loss?: Loss<E, R> | undefined
  readonly adam?: Omit<typeof Training.AdamParams.Encoded, "learning_rate"> | undefined
  readonly seed?: number | undefined
  readonly ahead?: number | undefined
  readonly evaluations?: ReadonlyArray<Evaluation<E, R>> | undefined
  readonly earlyStop?: EarlyStop | undefined
  readonly budget?: Budget | undefined
  readonly prices?: Cost.Prices | undefined
  readonly stop?: Effect.Effect<unknown> | undefined
  readonly gradientNorm?: boolean | undefined
  readonly decoder?: Nll.Decoder | undefined
  readonly checkpoints?: Checkpoints | undefined
  readonly directory?: Pick<RunDirectory.Options, "path" | "resume"> | undefined
  readonly data?: DataReport.DataReport | undefined
  readonly renderer?: string | undefined
  readonly threads?: number | undefined
}

const isCount = (value: number | undefined, least: number): boolean =>
  value === undefined || (Number.isSafeInteger(value) && value >= least)

const isAbove0 = (value: number | undefined): boolean => value === undefined || value > 0

/** The first option with a value that no run can have. */
const problemOf = <E, R>(options: Options<E, R>): InvalidRun | undefined => {
  const { adam: _, budget = {}, checkpoints = {}, earlyStop, evaluations = [], learningRate, prices } = options
  const count = "must be a whole number of 1 or more"
  const checks: ReadonlyArray<readonly [isValid: boolean, path: string, reason: string]> = [
    [isCount(options.steps, 1), "steps", count],
    [isCount(options.ahead, 0), "ahead", "must be a whole number of 0 or more"],
    [evaluations.every(({ every }) => isCount(every, 1)), "evaluations.every", count],
    [isCount(checkpoints.every, 1), "checkpoints.every", count],
    [isCount(checkpoints.rolling?.every, 1), "checkpoints.rolling.every", count],
    [isCount(earlyStop?.patience, 1), "earlyStop.patience", count],
    [
      Number.isFinite(learningRate.peak) && learningRate.peak >= 0,
      "learningRate.peak",
      "must be a number of 0 or more"
    ],
    [isAbove0(budget.seconds), "budget.seconds", "must be above 0"],
    [isAbove0(budget.tokens), "budget.tokens", "must be above 0"],
    [isAbove0(budget.usd), "budget.usd", "must be above 0"],
    [budget.usd === undefined || prices !== undefined, "budget.usd", "needs prices: the service does not tell them"]
  ]
  const failed = checks.find(([isValid]) => !isValid)
  return failed === undefined ? undefined : new InvalidRun({ path: failed[1], reason: failed[2] })
}

/** @internal */
export const validate = <E, R>(options: Options<E, R>): Effect.Effect<void, InvalidRun> =>
  Effect.suspend(() => problemOf(options) ?? Effect.void)
