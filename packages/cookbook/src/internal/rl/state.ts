/** What a run of reinforcement learning keeps while it goes on. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import type * as Effect from "effect/Effect"
import type * as Metrics from "../../Metrics.ts"
import type * as RunDirectory from "../../RunDirectory.ts"
import type { Row } from "../metrics/row.ts"
import type { GroupError } from "../rollouts/group.ts"
import type * as service from "../rollouts/service.ts"
import type { Group } from "../trajectories/model.ts"
import type { Options, Shaping } from "./options.ts"

/** Sampler weights and the number of steps that they hold. @internal */
export interface Policy {
  readonly sampling: SamplingClient.SamplingClient
  readonly version: number
  /** their path, if rollouts or agents need it */
  readonly path: string | undefined
}

/** What a group can fail with, besides the errors of its environments. @internal */
export type CollectError = GroupError | service.RolloutFailed

/** Which group of the source: the step whose groups it is among, and its number there. @internal */
export interface Index {
  readonly step: number
  readonly group: number
}

/** The episodes of a group, and the weights that sampled them. @internal */
export interface Collected extends Index {
  readonly version: number
  readonly episodes: Group
  /** whether an earlier part of the run sampled them */
  readonly isKept?: boolean | undefined
}

/** The episodes of some groups, when they are there. @internal */
export type Part<E, R> = Effect.Effect<ReadonlyArray<Collected>, E | CollectError, R>

/** @internal */
export interface State {
  readonly rows: Array<Row>
  /** the number of steps that are finished, of all parts of the run */
  finished: number
  /** tokens of the passes that are finished */
  tokens: number
  readonly earlierSeconds: number
  readonly startMillis: number
  lastMillis: number
  /** whether sampler and trainer were compared */
  agreed: boolean
  policy: Policy
  /** groups that are trained, and in no checkpoint */
  trained: ReadonlyArray<service.Key>
  checkpoint: RunDirectory.Checkpoint | undefined
}

/** @internal */
export interface Run<E, R> {
  readonly options: Options<E, R>
  readonly metrics: Metrics.Service
  readonly training: TrainingClient.TrainingClient
  readonly directory: RunDirectory.RunDirectory | undefined
  readonly rollouts: service.Service
  readonly part: service.RunPart
  readonly shaping: ReadonlyArray<Shaping<E | TinkerError.TinkerError, R>>
  /** free keys of its checkpoints */
  readonly recorded: { readonly [name: string]: unknown }
  readonly state: State
}
