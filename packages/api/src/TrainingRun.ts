/**
 * Training runs: the models that a user has trained.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Checkpoint from "./Checkpoint.ts"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { Metadata } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"
import * as Pagination from "./Pagination.ts"

/**
 * A training run.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TrainingRun = Schema.Struct({
  training_run_id: Schema.String,
  base_model: Schema.String,
  model_owner: Schema.String,
  is_lora: Schema.Boolean,
  corrupted: nullishWithDefault(Schema.Boolean, () => false),
  lora_rank: nullish(Schema.Int),
  last_request_time: Timestamp.Timestamp,
  last_checkpoint: nullish(Checkpoint.Checkpoint),
  last_sampler_checkpoint: nullish(Checkpoint.Checkpoint),
  user_metadata: nullish(Metadata)
})

/**
 * @since 0.1.0
 * @category models
 */
export type TrainingRun = typeof TrainingRun.Type

/**
 * A page of training runs.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TrainingRunsResponse = Schema.Struct({
  training_runs: Schema.Array(TrainingRun),
  cursor: Pagination.Cursor
})

/**
 * @since 0.1.0
 * @category models
 */
export type TrainingRunsResponse = typeof TrainingRunsResponse.Type
