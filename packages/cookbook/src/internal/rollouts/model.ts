/** The options of rollouts. */
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type { DurationInput } from "../effect/duration.ts"

/**
 * What samples the actions: a sampling client, or anything that samples. Agents need the path of its weights.
 *
 * @since 0.1.0
 * @category models
 */
export type Sampler = Pick<SamplingClient.SamplingClient, "sample"> & {
  /** the `tinker://` path of the sampler weights, where they are saved */
  readonly path?: string | undefined
}

/**
 * What ends an episode that the environment does not end. None is set by default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly maxTurns?: number | undefined
  /** tokens of one turn */
  readonly maxTurnTokens?: number | undefined
  /** tokens that are given and sampled, together */
  readonly maxTrajectoryTokens?: number | undefined
  /** tokens that are sampled, over all turns */
  readonly maxSampledTokens?: number | undefined
  /** time of the whole episode; turns that are finished then are kept */
  readonly timeout?: DurationInput | undefined
  /** whether an episode that a limit ended has a total reward of 0 at most; false by default */
  readonly noGainAtLimit?: boolean | undefined
}

/**
 * What to do when an episode fails. Retries are counted over the group.
 *
 * - `fail`: the group fails
 * - `retry`: up to `retries` episodes are run again, 3 by default
 * - `minimum`: the same, and then the group goes on if the share `least` of its episodes has succeeded, 0.75 by default
 *
 * @since 0.1.0
 * @category models
 */
export type Failures =
  | { readonly policy: "fail" }
  | { readonly policy: "retry"; readonly retries?: number | undefined }
  | { readonly policy: "minimum"; readonly retries?: number | undefined; readonly least?: number | undefined }

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** how to sample; the stop sequences are those of the environment, and the seed depends on the place */
  readonly sampling?: Omit<typeof Sampling.SamplingParams.Encoded, "seed" | "stop"> | undefined
  readonly limits?: Limits | undefined
  /** `fail` by default */
  readonly failures?: Failures | undefined
  /** records what the loss `stable_reinforce` needs; false by default */
  readonly recordStabilityInfo?: boolean | undefined
}
