/**
 * Client configuration, sessions and capabilities.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, optionalKey, type } from "./internal/schemas.ts"

/**
 * @since 0.1.0
 * @category schemas
 */
export const ClientConfigRequest = Schema.Struct({ sdk_version: Schema.String })

/**
 * What a server wants of its clients. Every field may be absent; the client then uses its defaults.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ClientConfigResponse = Schema.Struct({
  fwdbwd_max_chunk_len: nullish(Schema.Int.pipe(Schema.greaterThan(0))),
  fwdbwd_max_chunk_bytes_count: nullish(Schema.Int.pipe(Schema.greaterThan(0)))
})

/**
 * @since 0.1.0
 * @category models
 */
export type ClientConfigResponse = typeof ClientConfigResponse.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const UserMetadata = Schema.Record({ key: Schema.String, value: Schema.String })

/**
 * @since 0.1.0
 * @category schemas
 */
export const CreateSessionRequest = Schema.Struct({
  tags: Schema.Array(Schema.String),
  user_metadata: Schema.NullishOr(UserMetadata),
  sdk_version: Schema.String,
  project_id: optionalKey(Schema.String),
  type: type("create_session")
})

/**
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
 * @since 0.1.0
 * @category schemas
 */
export const SessionHeartbeatRequest = Schema.Struct({
  session_id: Schema.String,
  type: type("session_heartbeat")
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const SessionHeartbeatResponse = Schema.Struct({ type: nullish(Schema.String) })

/**
 * @since 0.1.0
 * @category schemas
 */
export const SupportedModel = Schema.Struct({
  model_name: nullish(Schema.String),
  max_context_length: nullish(Schema.Int)
})

/**
 * @since 0.1.0
 * @category schemas
 */
export const GetServerCapabilitiesResponse = Schema.Struct({ supported_models: Schema.Array(SupportedModel) })

/**
 * @since 0.1.0
 * @category models
 */
export type GetServerCapabilitiesResponse = typeof GetServerCapabilitiesResponse.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const HealthResponse = Schema.Struct({ status: Schema.Literal("ok") })
