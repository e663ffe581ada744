/** Where the episodes of a run are played: in this process, or in others. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { EnvGroup } from "../environments/model.ts"
import type { Group } from "../trajectories/model.ts"
import { type GroupError, runGroup } from "./group.ts"
import type { Options, Sampler } from "./model.ts"
import type { Place } from "./seeds.ts"

/**
 * An episode could not be played in another process, or what it left could not be read here.
 *
 * @since 0.1.0
 * @category errors
 */
export class RolloutFailed extends Schema.TaggedError<RolloutFailed>("@effect-tinker/cookbook/Rollouts/RolloutFailed")(
  "RolloutFailed",
  {
    /** which episode: the run, its part, the step, the weights, the group, the member and the try */
    rollout: Schema.String,
    reason: Schema.String,
    cause: Schema.optional(Schema.Defect)
  }
) {
  override get message(): string {
    return `the rollout ${this.rollout} ${this.reason}`
  }
}

/**
 * A part of a run, from its start, or where it resumes, to where it ends.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunPart {
  readonly run: string
  /** differs for each part, so that none gets what was sampled for another */
  readonly attempt: string
}

/**
 * Weights that sample.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policy {
  readonly sampling: Sampler
  /** the number of steps that they hold */
  readonly version: number
  /** their `tinker://` path; only where the service of rollouts needs paths */
  readonly path?: string | undefined
}

/**
 * A group of a run, and what samples it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Task {
  readonly part: RunPart
  readonly place: Place
  readonly policy: Policy
  readonly options: Options
  /** tells the source of the groups from any other */
  readonly fingerprint?: string | undefined
}

/**
 * Which group of a part of a run, and the weights that sampled it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Key {
  readonly step: number
  readonly group: number
  readonly version: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** whether weights are saved under a path, for other processes to sample from */
  readonly needsPaths: boolean
  /** Removes what earlier parts of the run have left. When the scope closes, so is what this one leaves. */
  readonly begin: (part: RunPart) => Effect.Effect<void, RolloutFailed, Scope.Scope>
  /** Plays the episodes of a group. */
  readonly group: <E, R>(
    group: EnvGroup<E, R>,
    task: Task
  ) => Effect.Effect<Group, E | GroupError | RolloutFailed, Exclude<R, Scope.Scope>>
  /** Removes what is stored of groups: they are trained, and a checkpoint has it. */
  readonly forget: (part: RunPart, keys: ReadonlyArray<Key>) => Effect.Effect<void, RolloutFailed>
}

/** @internal */
export const local: Service = {
  needsPaths: false,
  begin: () => Effect.void,
  group: (group, { options, place, policy: { path, sampling } }) =>
    runGroup({ sample: sampling.sample, path }, group, options, place),
  forget: () => Effect.void
}

/**
 * Where the episodes of `Rl.run` are played: in this process, unless a layer says otherwise.
 *
 * @since 0.1.0
 * @category references
 */
export class Rollouts extends Context.Reference<Rollouts>()("@effect-tinker/cookbook/Rollouts", {
  defaultValue: (): Service => local
}) {}
