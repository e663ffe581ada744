/**
 * Sessions, the configuration of clients, and the capabilities of the server.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { listing } from "./internal/schemas/listing.ts"
import * as supported from "./internal/schemas/supportedModel.ts"
import { nullish, optionalKey, withDefault } from "./internal/schemas/optional.ts"
import { Metadata, openEnum, ReportedMetadata, typeField } from "./internal/schemas/wire.ts"

/**
 * The version of the client.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ClientConfigRequest = Schema.Struct({ sdk_version: Schema.String })

const count = nullish(Schema.Int.pipe(Schema.greaterThan(0)))
const flag = nullish(Schema.Boolean)

/**
 * The settings that a server wants its clients to use. The client uses `clientDefaults` for absent fields.
 *
 * - `pjwt_auth_enabled`: exchange the API key for a short-lived token.
 * - `credential_default_source`: where the API key comes from.
 * - `fwdbwd_*`, `parallel_fwdbwd_chunks`, `proto_compress_fwdbwd`: the maximum size of a chunk in datums and bytes, whether
 *   chunks are sent in parallel, and whether they are compressed with zstd.
 * - `sample_*`: limits of concurrent requests and bytes, whether samples are retried, and whether they are polled per
 *   session (`sample_use_retrieve_futures`) instead of one by one.
 * - `custom_loss_server_side`: whether uploaded losses run on the service.
 * - `create_model_via_load_weights`: whether a load may create the model, on servers before SDK 0.26.
 * - `sample_streams`: whether samples can be read while they are sampled (`SampleLine`). Ours alone; others ignore it.
 * - `sample_json_schemas`: whether samples can be kept to a `json_schema`. Ours alone, too.
 * - `drops_failed_steps`: whether an `optim_step` behind a pass that failed is not taken, and the gradient is dropped. Ours
 *   alone, too.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ClientConfigResponse = Schema.Struct({
  pjwt_auth_enabled: flag,
  credential_default_source: nullish(openEnum("api_key", "credential_cmd")),
  fwdbwd_max_chunk_len: count,
  fwdbwd_max_chunk_bytes_count: count,
  fwdbwd_dispatch_bytes_semaphore_size: count,
  parallel_fwdbwd_chunks: flag,
  proto_compress_fwdbwd: flag,
  proto_write_fwdbwd: flag,
  sample_dispatch_bytes_semaphore_size: count,
  inflight_response_bytes_semaphore_size: count,
  billing_exception_max_pause_duration_sec: nullish(Schema.NonNegativeInt),
  sample_no_retries: flag,
  sample_enable_stuck_detection: flag,
  sample_max_concurrent_requests: count,
  sample_use_retrieve_futures: flag,
  sample_join_sampling_session: flag,
  custom_loss_server_side: flag,
  create_model_via_load_weights: flag,
  sample_streams: flag,
  sample_json_schemas: flag,
  drops_failed_steps: flag,
  use_pyqwest_transport: flag
})

/**
 * @since 0.1.0
 * @category models
 */
export type ClientConfigResponse = typeof ClientConfigResponse.Type

/**
 * The defaults of `ClientConfigResponse`. Sizes are in bytes, the pause in seconds.
 *
 * @since 0.1.0
 * @category constants
 */
export const clientDefaults = {
  pjwt_auth_enabled: false,
  credential_default_source: "api_key",
  fwdbwd_max_chunk_len: 1024,
  fwdbwd_max_chunk_bytes_count: 5_000_000,
  fwdbwd_dispatch_bytes_semaphore_size: 50_000_000,
  parallel_fwdbwd_chunks: true,
  proto_compress_fwdbwd: false,
  sample_dispatch_bytes_semaphore_size: 10_485_760,
  inflight_response_bytes_semaphore_size: 52_428_800,
  billing_exception_max_pause_duration_sec: 3600,
  sample_no_retries: false,
  sample_enable_stuck_detection: true,
  sample_max_concurrent_requests: 2000,
  sample_use_retrieve_futures: false,
  sample_join_sampling_session: false,
  custom_loss_server_side: false,
  create_model_via_load_weights: false,
  sample_streams: false,
  sample_json_schemas: false,
  drops_failed_steps: false
} as const satisfies ClientConfigResponse

/**
 * The settings that a running client refreshes: the refresh interval in seconds, whether interrupted samples are cancelled
 * on the service, and how many at a time.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ClientDynamicConfigResponse = Schema.Struct({
  refresh_interval_sec: nullish(Schema.Finite),
  sample_cancel_enabled: flag,
  sample_cancel_max_batch_size: count
})

/**
 * @since 0.1.0
 * @category models
 */
export type ClientDynamicConfigResponse = typeof ClientDynamicConfigResponse.Type

/**
 * The defaults of `ClientDynamicConfigResponse`.
 *
 * @since 0.1.0
 * @category constants
 */
export const dynamicDefaults = {
  refresh_interval_sec: 300,
  sample_cancel_enabled: false,
  sample_cancel_max_batch_size: 64
} as const satisfies ClientDynamicConfigResponse

/**
 * Metadata that users attach: strings by name.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UserMetadata = Metadata

/**
 * Opens a session.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateSessionRequest = Schema.Struct({
  tags: Schema.Array(Schema.String),
  user_metadata: Schema.NullishOr(UserMetadata),
  sdk_version: Schema.String,
  project_id: optionalKey(Schema.String),
  display_name: optionalKey(Schema.String),
  type: typeField("create_session")
})

/**
 * The id of the new session, and messages for the user.
 *
 * @since 0.1.0
 * @category schemas
 */
export const CreateSessionResponse = Schema.Struct({
  session_id: Schema.String,
  info_message: nullish(Schema.String),
  warning_message: nullish(Schema.String),
  error_message: nullish(Schema.String)
})

/**
 * Keeps a session alive.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionHeartbeatRequest = Schema.Struct({
  session_id: Schema.String,
  type: typeField("session_heartbeat")
})

/**
 * The response to a heartbeat.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionHeartbeatResponse = Schema.Struct({ type: nullish(Schema.String) })

/**
 * A base model that the server supports. Some servers call its name `model_id`, and some send nothing but the name.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SupportedModel = supported.SupportedModel

/**
 * The base models that the server supports.
 *
 * @since 0.1.0
 * @category schemas
 */
export const GetServerCapabilitiesResponse = Schema.Struct({ supported_models: listing(SupportedModel) })

/**
 * @since 0.1.0
 * @category models
 */
export type GetServerCapabilitiesResponse = typeof GetServerCapabilitiesResponse.Type

/**
 * The service is up.
 *
 * @since 0.1.0
 * @category schemas
 */
export const HealthResponse = Schema.Struct({ status: Schema.Literal("ok") })

/**
 * How a session ended.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FinishReason = Schema.Struct({ type: openEnum("success", "errored", "interrupted") })

/**
 * Ends a session. Only the first reason is recorded.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FinishSessionRequest = Schema.Struct({
  reason: FinishReason,
  detail: withDefault(Schema.NullOr(Schema.String), () => null)
})

/**
 * A page of session ids.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ListSessionsResponse = Schema.Struct({ sessions: listing(Schema.String) })

/**
 * @since 0.1.0
 * @category models
 */
export type ListSessionsResponse = typeof ListSessionsResponse.Type

/**
 * The training runs and samplers of a session.
 *
 * @since 0.1.0
 * @category schemas
 */
export const GetSessionResponse = Schema.Struct({
  training_run_ids: listing(Schema.String),
  sampler_ids: listing(Schema.String),
  user_metadata: nullish(ReportedMetadata),
  display_name: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type GetSessionResponse = typeof GetSessionResponse.Type

/**
 * Moves a session to a project.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AssignSessionProjectRequest = Schema.Struct({ project_id: Schema.String })

/**
 * The state of a trace, which is built on demand: `pending`, `ready` with the signed URL of a Perfetto trace, or `failed`
 * with the reason.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TraceExportResponse = Schema.Struct({
  status: openEnum("pending", "ready", "failed"),
  url: nullish(Schema.String),
  error: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type TraceExportResponse = typeof TraceExportResponse.Type
