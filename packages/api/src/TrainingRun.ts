/**
 * Training runs: the models that a user has trained.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Checkpoint from "./Checkpoint.ts"
import { listing } from "./internal/schemas/listing.ts"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { ReportedMetadata } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"
import * as Pagination from "./Pagination.ts"

/**
 * A training run. Servers may not know the owner, whether it is a LoRA adapter, or the time of its last request.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TrainingRun = Schema.Struct({
  training_run_id: Schema.String,
  base_model: Schema.String,
  model_owner: nullish(Schema.String),
  is_lora: nullish(Schema.Boolean),
  corrupted: nullishWithDefault(Schema.Boolean, () => false),
  lora_rank: nullish(Schema.Int),
  last_request_time: nullish(Timestamp.Timestamp),
  last_checkpoint: nullish(Checkpoint.Checkpoint),
  last_sampler_checkpoint: nullish(Checkpoint.Checkpoint),
  user_metadata: nullish(ReportedMetadata)
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
  training_runs: listing(TrainingRun),
  cursor: nullish(Pagination.Cursor)
})

/**
 * @since 0.1.0
 * @category models
 */
export type TrainingRunsResponse = typeof TrainingRunsResponse.Type
