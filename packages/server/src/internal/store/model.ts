/** The records of the service as the store holds them, and what goes wrong with a store. */
import type * as Model from "@effect-tinker/api/Model"
import type * as SessionSearch from "@effect-tinker/api/SessionSearch"
import type * as Weights from "@effect-tinker/api/Weights"
import * as Schema from "effect/Schema"
import { optionalKey } from "../effect/optionalKey.ts"
import type { Info } from "./checkpointInfo.ts"

/**
 * The database failed, or cannot be used.
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreError extends Schema.TaggedError<StoreError>("@effect-tinker/server/Store/StoreError")("StoreError", {
  reason: Schema.String,
  cause: optionalKey(Schema.Defect)
}) {
  override get message(): string {
    return `the store of the service's records: ${this.reason}`
  }
}

/**
 * A session. Times are in milliseconds since the epoch, here and in all records.
 *
 * @since 0.1.0
 * @category models
 */
export interface SessionRow {
  readonly id: string
  readonly owner: string | undefined
  readonly created_at: number
  readonly user_metadata: { readonly [key: string]: string } | undefined
  readonly display_name: string | undefined
  readonly project_id: string | undefined
  readonly status: Extract<SessionSearch.SessionStatus, { readonly type: "active" | "cancelled" | "client_finished" }>
  /** the process that serves it */
  readonly instance: string
  /** when it was last used, give or take a minute */
  readonly last_seen: number
}

/**
 * A model in training. `lost`: the process that held it ended, and with it what was not saved.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunRow {
  readonly id: string
  readonly session_id: string
  readonly owner: string | undefined
  readonly base_model: string
  readonly lora_config: Model.LoraConfig
  readonly user_metadata: { readonly [key: string]: string } | undefined
  readonly created_at: number
  /** give or take a few seconds */
  readonly last_request: number
  readonly state: "waiting" | "created" | "failed" | "unloaded" | "lost"
  /** steps of its optimizer, with those of the state that was loaded into it */
  readonly steps: number
  /** the training state that was last saved or loaded, and `steps` then */
  readonly saved_path: string | undefined
  readonly saved_steps: number
  readonly instance: string
}

/**
 * A sampling session.
 *
 * @since 0.1.0
 * @category models
 */
export interface SamplerRow {
  readonly id: string
  readonly session_id: string
  readonly owner: string | undefined
  readonly base_model: string
  /** the checkpoint that it samples from, and the revision that it had */
  readonly model_path: string | undefined
  readonly revision: string | undefined
  /** the user whose checkpoints its owner may read, with an access token */
  readonly delegated_read_as: string | undefined
  /** whether it samples from weights in memory, which end with the process */
  readonly ephemeral: boolean
  /** of the request that created it */
  readonly fingerprint: string | undefined
  /** clients that joined */
  readonly joined: number
  readonly created_at: number
}

/**
 * A stored checkpoint. Its weights are files.
 *
 * @since 0.1.0
 * @category models
 */
export interface CheckpointRow {
  /** `tinker://` path */
  readonly path: string
  readonly training_run_id: string
  readonly owner: string | undefined
  readonly created_at: number
  readonly expires_at: number | undefined
  readonly info: Info
}

/**
 * A path that a process is changing: no other may change it. What the process leaves behind at its end is completed or
 * removed by the next one.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReservationRow {
  readonly path: string
  readonly instance: string
  readonly action: "save" | "update" | "remove"
  /** of the checkpoint that is saved, changed or removed */
  readonly revision: string
}

/**
 * An adapter that is being uploaded.
 *
 * @since 0.1.0
 * @category models
 */
export interface UploadRow {
  readonly id: string
  readonly owner: string | undefined
  readonly request: Weights.ExternalWeightsUploadStartRequest
  readonly expires_at: number
  /** largest size of each file in bytes, by its name */
  readonly limits: { readonly [file: string]: number }
  /** path of the imported adapter */
  readonly finished: string | undefined
}

/**
 * The total of what one user consumed in an hour, of one type.
 *
 * @since 0.1.0
 * @category models
 */
export interface UsageRow {
  /** start of the hour */
  readonly hour: number
  /** empty for the user of a service without keys */
  readonly owner: string
  /** empty for samples outside of sessions */
  readonly session_id: string
  readonly base_model: string
  readonly type: "training" | "sampling_prefill" | "sampling_sample" | "checkpoint"
  /** number of tokens, or of checkpoints */
  readonly count: number
}

/**
 * An entry of the audit log.
 *
 * @since 0.1.0
 * @category models
 */
export interface AuditRow {
  readonly id: string
  readonly owner: string | undefined
  readonly recorded_at: number
  readonly event: string
  readonly details: { readonly [key: string]: unknown }
}

/**
 * A user who has created a session.
 *
 * @since 0.1.0
 * @category models
 */
export interface UserRow {
  readonly id: string
  readonly first_seen: number
}
