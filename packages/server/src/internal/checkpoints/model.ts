/** The data types and errors of checkpoint stores, which `CheckpointStore` exports. */
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Schema from "effect/Schema"
import type * as Engine from "../../Engine.ts"
import { optionalKey } from "../effect/optionalKey.ts"
import type { Info } from "../store/checkpointInfo.ts"

export { Info } from "../store/checkpointInfo.ts"

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
 * The user's checkpoints would be larger than the quota. Sizes are in bytes.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>(
  "@effect-tinker/server/CheckpointStore/QuotaExceeded"
)("QuotaExceeded", { used: Schema.Number, requested: Schema.Number, limit: Schema.Number }) {
  override get message(): string {
    const { limit, requested, used } = this
    return (
      `the checkpoint of ${requested} bytes does not fit: your checkpoints use ${used} of ${limit} bytes. ` +
      "Delete some, or let them expire"
    )
  }
}

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
