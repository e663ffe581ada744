/** The types of environments. */
import type * as ModelInput from "@effect-tinker/api/ModelInput"
import type * as Sampling from "@effect-tinker/api/Sampling"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Trajectory from "../trajectories/model.ts"

/**
 * What the model is given next, and what ends its turn.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observation {
  /** the whole input: an environment of many turns repeats what came before */
  readonly prompt: ModelInput.ModelInput
  readonly stop?: (typeof Sampling.SamplingParams.Encoded)["stop"] | undefined
}

/**
 * What an action led to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly reward: number
  /** what the model is given next; none if the episode ends */
  readonly next?: Observation | undefined
  /** why the episode ends, where it does; `completed` by default */
  readonly stop?: Trajectory.StopReason | undefined
  /** whether the turn is left out of training; false by default */
  readonly masked?: boolean | undefined
  readonly metrics?: { readonly [name: string]: number } | undefined
  /** what to show of the episode in a report */
  readonly logs?: { readonly [name: string]: string } | undefined
}

/**
 * One episode. It is used once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Env<E = never, R = never> {
  readonly initial: Effect.Effect<Observation, E, R>
  readonly step: (action: Trajectory.Action) => Effect.Effect<Outcome, E, R>
  /** what an episode earned that a limit of the rollout has ended before its next turn; nothing by default */
  readonly atLimit?: ((stop: Trajectory.StopReason) => Effect.Effect<number, E, R>) | undefined
}

/**
 * The weights that an agent is to sample from, and the key of its episode.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy {
  readonly sample: SamplingClient.SamplingClient["sample"]
  /** the `tinker://` path of the sampler weights, where they are saved */
  readonly path: string | undefined
  /** no other episode of the run has it */
  readonly key: string
  /** the seed of each request of the episode, counted from 0 */
  readonly seed: (request: number) => number
}

/**
 * One episode of a program that samples by itself, such as an agent that speaks the OpenAI protocol. It is used once, and
 * has limits of its own: those of a rollout do not apply.
 *
 * @since 0.1.0
 * @category models
 */
export interface Agent<E = never, R = never> {
  readonly play: (policy: Policy) => Effect.Effect<Trajectory.Trajectory, E, R>
}

/**
 * Environments of one problem, whose rewards are compared with each other.
 *
 * @since 0.1.0
 * @category models
 */
export interface EnvGroup<E = never, R = never, Member = Env<E, R> | Agent<E, R>> {
  readonly size: number
  /** makes the environment of a member, counted from 0; its scope closes when the episode has ended */
  readonly env: (member: number) => Effect.Effect<Member, E, R | Scope.Scope>
  /** what all members are given first, where that is the same: it is sampled from by one request */
  readonly initial?: Effect.Effect<Observation, E, R> | undefined
  /** what each episode earns beside its own rewards, in the light of the others; nothing by default */
  readonly rewards?:
    | ((trajectories: ReadonlyArray<Trajectory.Trajectory>) => Effect.Effect<ReadonlyArray<number>, E, R>)
    | undefined
  /** names of what the problem belongs to, for metrics */
  readonly tags?: ReadonlyArray<string> | undefined
}
