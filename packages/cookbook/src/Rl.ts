/**
 * Reinforcement learning: episodes are sampled, rewarded and trained on, step by step.
 *
 * ```ts
 * const result = yield* Rl.run({
 *   model: { base_model: "Qwen/Qwen3-8B", rank: 32, seed: 0 },
 *   groups: { at: (step) => Effect.succeed(problems.slice(step * 16, (step + 1) * 16).map(Env.problem)) },
 *   steps: 30,
 *   learningRate: LearningRate.constant(4e-5),
 *   rollouts: { sampling: { max_tokens: 256 } }
 * })
 * ```
 *
 * - **A step** samples all groups, takes the advantage of each episode over its group, and submits its pass, its update,
 *   the saves that are due, and the sampler of the next step together.
 * - **Agreement.** Before the first update of a program, the trainer computes the logprobs of what was sampled. If they
 *   differ from those of sampling by more than `agreement`, the run fails with `SamplerMismatch`.
 * - **Resume.** Groups depend on their step alone, and the seed of each request is a hash of its place in the run. A
 *   synchronous run that was killed and resumes has the bits of one that was not, on a service whose samples depend on their
 *   request alone (the embedded one with `deterministic: true`). An asynchronous run that resumes trains each group once
 *   relative to the weights of its checkpoint: groups that had ended since are in `groups.jsonl`, those of weights that are
 *   lost too, and are trained as they were sampled; others start anew.
 * - **Rows** have `env/all/…` and, for tags that some groups have, `env/TAG/…`: `reward/total`, lengths, `by_group/…`,
 *   `stop/…` as shares, and the metrics of the environments; `optim/kl_sample_train_v1`, `_v2` and `_v3` (see `Kl`),
 *   `optim/entropy`, and `lag/…`, by how many steps the weights that sampled a group are older than those it trained; below 0
 *   for groups of weights that a resumed run has lost. `optim/masked_tokens` is the share that `mismatch` left out.
 *
 * @since 0.1.0
 */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Training from "@effect-tinker/api/Training"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Advantages from "./Advantages.ts"
import type * as errors from "./internal/rl/errors.ts"
import type * as rl from "./internal/rl/options.ts"
import * as loop from "./internal/rl/run.ts"
import type * as supervised from "./internal/supervised/options.ts"
import type * as LearningRate from "./LearningRate.ts"
import type * as Metrics from "./Metrics.ts"
import type * as Rollouts from "./Rollouts.ts"
import type * as RunDirectory from "./RunDirectory.ts"

export * from "./internal/rl/errors.ts"
export type { Alarm, Evaluation, KlPenalty, Loss, Mismatch, Mode, Shaping, Source } from "./internal/rl/options.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> {
  readonly model: supervised.Model
  readonly groups: rl.Source<E, R>
  /** the number of steps of the whole run, also of one that resumes */
  readonly steps: number
  readonly learningRate: LearningRate.Schedule
  /** parameters of AdamW besides the learning rate: by default betas of 0.9 and 0.95, and an `eps` of 1e-8 */
  readonly adam?: Omit<typeof Training.AdamParams.Encoded, "learning_rate"> | undefined
  /** `importance_sampling` by default */
  readonly loss?: rl.Loss | undefined
  /** `Advantages.centred` by default */
  readonly advantages?: Advantages.Estimator | undefined
  /** whether groups of equal rewards are trained on; by default they are dropped, but one if all are such */
  readonly constantGroups?: "drop" | "keep" | undefined
  /** updates of a step, each with a part of its data; 1 by default */
  readonly substeps?: number | undefined
  readonly rollouts?: Rollouts.Options | undefined
  /** synchronous by default */
  readonly loop?: rl.Mode | undefined
  /**
   * where the weights that sample are: in a session of this program, or saved, for a day, under a path that agents sample
   * from; `session` by default
   */
  readonly snapshots?: "session" | "saved" | undefined
  /** what changes advantages by token, one after the other */
  readonly shaping?: ReadonlyArray<rl.Shaping<E | TinkerError.TinkerError, R>> | undefined
  readonly kl?: rl.KlPenalty | undefined
  /** what is left out of training, found by a further pass before that of the step; nothing by default */
  readonly mismatch?: rl.Mismatch | undefined
  /** whether rows have `optim/kl_pre_post_…`, from a further pass behind each update; false by default */
  readonly postKl?: boolean | undefined
  /** the largest |k1| and k3 of sampler against trainer before the first update, in nats a token; 0.01 by default */
  readonly agreement?: number | undefined
  readonly alarms?: ReadonlyArray<rl.Alarm> | undefined
  /** seed of the requests, and of the random numbers that groups and evaluations take; 0 by default */
  readonly seed?: number | undefined
  readonly evaluations?: ReadonlyArray<rl.Evaluation<E | TinkerError.TinkerError, R>> | undefined
  /** if given, the best, the worst and a random episode of each step are kept in `samples.jsonl` of the directory */
  readonly decode?: ((tokens: ArrayLike<number>) => string) | undefined
  readonly checkpoints?: supervised.Checkpoints | undefined
  /** where the run is recorded, and resumes from; none by default */
  readonly directory?: Pick<RunDirectory.Options, "path" | "resume"> | undefined
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
  /** samples from the weights of the last step */
  readonly sampling: SamplingClient.SamplingClient
  /** the step at which this part of the run began: 0, or where it resumed */
  readonly from: number
  /** the number of steps that the run has done, in all of its parts */
  readonly steps: number
  /** the rows of all parts, in order, with one for what was measured behind the last step */
  readonly rows: ReadonlyArray<Metrics.Row>
  /** what was measured behind the last step */
  readonly evaluated: { readonly [name: string]: number | null }
  readonly checkpoint: RunDirectory.Checkpoint | undefined
}

/**
 * Everything that can end a run early, besides the errors of its environments and evaluations.
 *
 * @since 0.1.0
 * @category errors
 */
export type RunError =
  | TinkerError.TinkerError
  | Sampling.LogprobsMissing
  | supervised.InvalidRun
  | Rollouts.InvalidGroup
  | Rollouts.RolloutFailed
  | errors.SamplerMismatch
  | errors.AlarmRaised
  | errors.OutputMissing
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
