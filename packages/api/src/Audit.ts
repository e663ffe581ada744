/**
 * The audit log of an organization.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { listing } from "./internal/schemas/listing.ts"
import { nullish, nullishWithDefault, optionalKey } from "./internal/schemas/optional.ts"
import { JsonValue, openEnum } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"

/**
 * A filter by the kind of event.
 *
 * @since 0.1.0
 * @category schemas
 */
export const EventType = openEnum("all", "checkpoints", "projects", "teams", "organizations")

/**
 * The query of the audit log. `day` is a UTC day as `YYYY-MM-DD`, by default today.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Params = Schema.Struct({
  event_type: optionalKey(EventType),
  day: optionalKey(Schema.String.pipe(Schema.pattern(/^\d{4}-\d{2}-\d{2}$/)))
})

/**
 * An entry of the audit log. `event` is `<resource>_<action>`; `event_details` has the actor and the resource, which older
 * servers report in `model_id`, `tinker_path` and `purpose`.
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
 * The entries of one day.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AuditLogResponse = Schema.Struct({ entries: listing(Entry) })

/**
 * @since 0.1.0
 * @category models
 */
export type AuditLogResponse = typeof AuditLogResponse.Type
