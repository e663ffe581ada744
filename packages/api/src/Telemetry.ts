/**
 * Telemetry that clients send.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, withDefault } from "./internal/schemas/optional.ts"
import { JsonValue, openEnum, taggedUnion } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"

const common = {
  event_id: Schema.String,
  event_session_index: Schema.Int,
  severity: openEnum("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
  timestamp: Timestamp.Timestamp
}

/**
 * An event. `duration` is a string such as `0:05:03.123456`; `event_session_index` counts the events of a client from 0.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Event = taggedUnion(
  "event",
  Schema.Struct({ event: Schema.Literal("SESSION_START"), ...common }),
  Schema.Struct({ event: Schema.Literal("SESSION_END"), ...common, duration: Schema.String }),
  Schema.Struct({
    event: Schema.Literal("UNHANDLED_EXCEPTION"),
    ...common,
    error_type: Schema.String,
    error_message: Schema.String,
    traceback: nullish(Schema.String)
  }),
  Schema.Struct({
    event: Schema.Literal("GENERIC_EVENT"),
    ...common,
    event_name: Schema.String,
    event_data: withDefault(Schema.Record({ key: Schema.String, value: JsonValue }), () => ({}))
  })
)

/**
 * @since 0.1.0
 * @category models
 */
export type Event = typeof Event.Type

/**
 * A batch of up to 100 events of one process. The `session_id` of a client without a session is `sessionless-<uuid>`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SendRequest = Schema.Struct({
  events: Schema.Array(Event),
  platform: Schema.String,
  sdk_version: Schema.String,
  session_id: Schema.String,
  process_uuid: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type SendRequest = typeof SendRequest.Type

/**
 * The service accepted the batch.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SendResponse = Schema.Struct({ status: Schema.Literal("accepted") })
