/**
 * The audit log of an organization.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { nullish, nullishWithDefault, optionalKey } from "./internal/schemas/optional.ts"
import { JsonValue, openEnum } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"

/**
 * @since 0.1.0
 * @category schemas
 */
export const EventType = openEnum("all", "checkpoints", "projects", "teams", "organizations")

/**
 * `day` is `YYYY-MM-DD` and stands for that UTC day; without it, today.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Params = Schema.Struct({
  event_type: optionalKey(EventType),
  day: optionalKey(Schema.String.pipe(Schema.pattern(/^\d{4}-\d{2}-\d{2}$/)))
})

/**
 * What happened, as `<resource>_<action>`. Who did it, and to what, is in `event_details`; older servers say it in
 * `model_id`, `tinker_path` and `purpose`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Entry = Schema.Struct({
  timestamp: Timestamp.Timestamp,
  event: Schema.String,
  event_details: nullishWithDefault(Schema.Record({ key: Schema.String, value: JsonValue }), () => ({})),
  model_id: nullish(Schema.String),
  tinker_path: nullish(Schema.String),
  purpose: nullish(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type Entry = typeof Entry.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const AuditLogResponse = Schema.Struct({ entries: Schema.Array(Entry) })

/**
 * @since 0.1.0
 * @category models
 */
export type AuditLogResponse = typeof AuditLogResponse.Type
