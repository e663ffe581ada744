/** The metadata of a checkpoint. */
import * as Model from "@effect-tinker/api/Model"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Schema from "effect/Schema"
import { optionalKey } from "../effect/optionalKey.ts"

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
