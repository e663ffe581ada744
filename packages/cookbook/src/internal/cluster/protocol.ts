/** What the trainer asks of runners, and what they answer: one persisted entity for each episode. */
import * as ClusterSchema from "@effect/cluster/ClusterSchema"
import * as Entity from "@effect/cluster/Entity"
import * as Rpc from "@effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import { RolloutFailed } from "../rollouts/service.ts"

/** Names are parts of paths and of patterns. */
const Name = Schema.String.pipe(Schema.pattern(/^[a-z0-9]{1,40}$/))

/** Which episode, and by which weights. @internal */
export const RolloutKey = Schema.Struct({
  run: Name,
  attempt: Name,
  step: Schema.NonNegativeInt,
  /** the number of steps that the weights hold */
  version: Schema.NonNegativeInt,
  group: Schema.NonNegativeInt,
  member: Schema.NonNegativeInt,
  /** how often it was played before, and failed */
  failures: Schema.NonNegativeInt
})

/** @internal */
export type RolloutKey = typeof RolloutKey.Type

const Count = Schema.optional(Schema.Int)

/** `Rollouts.Options` for one episode, in JSON. */
const StoredOptions = Schema.Struct({
  sampling: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  limits: Schema.optional(
    Schema.Struct({
      maxTurns: Count,
      maxTurnTokens: Count,
      maxTrajectoryTokens: Count,
      maxSampledTokens: Count,
      /** milliseconds */
      timeout: Schema.optional(Schema.Number),
      noGainAtLimit: Schema.optional(Schema.Boolean)
    })
  ),
  recordStabilityInfo: Schema.optional(Schema.Boolean)
})

/** @internal */
export const Request = Schema.Struct({
  key: RolloutKey,
  /** the seed of the run */
  seed: Schema.Int,
  /** the number of members of the group */
  size: Schema.Int,
  /** the `tinker://` path of the weights */
  weights: Schema.String,
  fingerprint: Schema.optional(Schema.String),
  options: StoredOptions
})

/** @internal */
export type Request = typeof Request.Type

/** Where the trajectory is. @internal */
export const Answer = Schema.Struct({
  /** in the directory that trainer and runners share */
  path: Schema.String,
  /** SHA-256 of the file, in hexadecimal digits */
  hash: Schema.String,
  bytes: Schema.NonNegativeInt
})

/** @internal */
export type Answer = typeof Answer.Type

/** The name of a part of a run, which all names of its episodes begin with. @internal */
export const partName = ({ attempt, run }: Pick<RolloutKey, "attempt" | "run">): string => `${run}/${attempt}`

/** The name of a group by some weights. @internal */
export const groupName = (key: Omit<RolloutKey, "member" | "failures">): string =>
  `${partName(key)}/${key.step}-${key.version}-${key.group}`

/** @internal */
export const rolloutName = (key: RolloutKey): string => `${groupName(key)}/${key.member}-${key.failures}`

/** @internal */
export const entityType = "Rollout"

/** Episodes by the names of their keys. @internal */
export const Rollout = Entity.make(entityType, [
  Rpc.make("play", {
    payload: Request.fields,
    primaryKey: ({ key }) => rolloutName(key),
    success: Answer,
    error: RolloutFailed
  })
]).annotateRpcs(ClusterSchema.Persisted, true)
