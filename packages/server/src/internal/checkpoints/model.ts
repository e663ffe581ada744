/** The data types and errors of checkpoint stores, which `CheckpointStore` exports. */
import * as Model from "@effect-tinker/api/Model"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Schema from "effect/Schema"
import type * as Engine from "../../Engine.ts"
import { optionalKey } from "../effect/optionalKey.ts"

/**
 * A checkpoint of that path exists.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointExists extends Schema.TaggedError<CheckpointExists>(
  "@effect-tinker/server/CheckpointStore/CheckpointExists"
)("CheckpointExists", { path: Schema.String }) {
  override get message(): string {
    return `${this.path} already exists: choose another name, or set overwrite`
  }
}

/**
 * There is no checkpoint of that path, or it has expired.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointNotFound extends Schema.TaggedError<CheckpointNotFound>(
  "@effect-tinker/server/CheckpointStore/CheckpointNotFound"
)("CheckpointNotFound", { path: Schema.String }) {
  override get message(): string {
    return `there is no checkpoint ${this.path}`
  }
}

/**
 * The storage failed, or a stored file is damaged.
 *
 * @since 0.1.0
 * @category errors
 */
export class CheckpointStoreError extends Schema.TaggedError<CheckpointStoreError>(
  "@effect-tinker/server/CheckpointStore/CheckpointStoreError"
)("CheckpointStoreError", {
  path: Schema.String,
  reason: Schema.String,
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

/**
 * The metadata of a checkpoint.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Info = Schema.Struct({
  training_run_id: Schema.String,
  kind: TinkerPath.Kind,
  name: Schema.String,
  base_model: Schema.String,
  lora_config: Model.LoraConfig,
  lora_alpha: Schema.Finite,
  /** steps that the optimizer had taken; absent if its state was not saved */
  optimizer_step: optionalKey(Schema.Int),
  user_metadata: optionalKey(Schema.Record({ key: Schema.String, value: Schema.String })),
  /** milliseconds since the epoch */
  created_at: Schema.Int,
  /** differs for each save, and so distinguishes weights that were saved again under the same path */
  revision: optionalKey(Schema.String),
  /** milliseconds since the epoch; absent if the checkpoint does not expire */
  expires_at: optionalKey(Schema.Int),
  /** size of the tensors */
  size_bytes: Schema.Int,
  /** the user who owns it; absent if every user of the service does */
  owner: optionalKey(Schema.String),
  /** whether every user may read it; absent means no */
  public: optionalKey(Schema.Boolean)
})

/**
 * @since 0.1.0
 * @category models
 */
export type Info = typeof Info.Type

/**
 * @since 0.1.0
 * @category models
 */
export interface Checkpoint {
  readonly info: Info
  readonly adapter: Engine.Adapter
  readonly optimizer: Engine.OptimizerState | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SaveOptions {
  readonly path: TinkerPath.TinkerPath
  readonly adapter: Engine.Adapter
  readonly owner?: string | undefined
  readonly optimizer?: Engine.OptimizerState | undefined
  readonly overwrite?: boolean | undefined
  /** absent if the checkpoint does not expire */
  readonly ttl_seconds?: number | undefined
  readonly user_metadata?: { readonly [key: string]: string } | undefined
}

/**
 * A change to the metadata of a checkpoint. An absent property is not changed; `expires_at: undefined` lets the
 * checkpoint live until it is removed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly public?: boolean
  /** milliseconds since the epoch */
  readonly expires_at?: number | undefined
}
