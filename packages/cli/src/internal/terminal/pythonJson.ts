/** Checkpoints and training runs as the Python command prints them in JSON: every field in order, `null` where unset. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import type * as TrainingRun from "@effect-tinker/api/TrainingRun"
import type * as DateTime from "effect/DateTime"
import * as format from "./format.ts"

const time = (at: DateTime.Utc | undefined): string | null => (at === undefined ? null : format.pythonTime(at))

/** @internal */
export const checkpoint = (self: Checkpoint.Checkpoint) => ({
  checkpoint_id: self.checkpoint_id,
  checkpoint_type: self.checkpoint_type,
  time: time(self.time),
  tinker_path: self.tinker_path,
  size_bytes: self.size_bytes ?? null,
  public: self.public,
  user_metadata: self.user_metadata ?? null,
  expires_at: time(self.expires_at),
  // newer than the Python command, so it is left out where the service does not send it
  ...(self.base_model === undefined ? {} : { base_model: self.base_model })
})

/** @internal */
export const trainingRun = (self: TrainingRun.TrainingRun) => ({
  training_run_id: self.training_run_id,
  base_model: self.base_model,
  model_owner: self.model_owner ?? null,
  is_lora: self.is_lora ?? null,
  corrupted: self.corrupted,
  lora_rank: self.lora_rank ?? null,
  last_request_time: time(self.last_request_time),
  last_checkpoint: self.last_checkpoint === undefined ? null : checkpoint(self.last_checkpoint),
  last_sampler_checkpoint: self.last_sampler_checkpoint === undefined ? null : checkpoint(self.last_sampler_checkpoint),
  user_metadata: self.user_metadata ?? null
})
