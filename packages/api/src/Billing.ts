/**
 * Billing: hourly usage, and the storage that checkpoints occupy.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { listing } from "./internal/schemas/listing.ts"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { otherType, ReportedMetadata, taggedUnion, withoutNulls } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"

/**
 * What was used. Free and paid storage are separate events. A type that this version does not know decodes to its `type`
 * only.
 *
 * @since 0.1.0
 * @category schemas
 */
export const EventInfo = taggedUnion(
  "type",
  Schema.Struct({ type: Schema.Literal("training"), token_count: Schema.Int }),
  Schema.Struct({ type: Schema.Literal("sampling_prefill"), cached: Schema.Boolean, token_count: Schema.Int }),
  Schema.Struct({ type: Schema.Literal("sampling_sample"), token_count: Schema.Int }),
  Schema.Struct({ type: Schema.Literal("checkpoint"), count: Schema.Int }),
  Schema.Struct({
    type: Schema.Literal("storage"),
    free: nullishWithDefault(Schema.Boolean, () => false),
    gigabyte_hours: Schema.Finite
  }),
  Schema.Struct({ type: otherType("training", "sampling_prefill", "sampling_sample", "checkpoint", "storage") })
)

/**
 * @since 0.1.0
 * @category models
 */
export type EventInfo = typeof EventInfo.Type

/**
 * The usage of one type in one UTC hour. Costs are gross estimates in US dollars before credits, not amounts due. Tokens
 * are priced by the million, storage by the month of 720 gigabyte-hours. A cost is absent if the price is unknown.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UsageEvent = Schema.Struct({
  bucket_start: Timestamp.Timestamp,
  bucket_end: Timestamp.Timestamp,
  base_model: nullish(Schema.String),
  user_id: nullish(Schema.String),
  user_name: nullish(Schema.String),
  session_id: nullish(Schema.String),
  project_id: nullish(Schema.String),
  estimated_cost_usd: nullish(Schema.Finite),
  effective_rate_usd_per_million_tokens: nullish(Schema.Finite),
  effective_rate_usd_per_gigabyte_month: nullish(Schema.Finite),
  event_info: EventInfo
})

/**
 * @since 0.1.0
 * @category models
 */
export type UsageEvent = typeof UsageEvent.Type

/**
 * Usage, sorted by hour and then by tokens, in descending order. Costs before `cost_data_through` come from invoices, later
 * ones from the published rates.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UsageResponse = Schema.Struct({
  data: listing(UsageEvent),
  sessions: nullishWithDefault(withoutNulls(Schema.Struct({ user_metadata: nullish(ReportedMetadata) })), () => ({})),
  cost_data_through: nullish(Timestamp.Timestamp)
})

/**
 * @since 0.1.0
 * @category models
 */
export type UsageResponse = typeof UsageResponse.Type

/**
 * A time window of whole UTC hours, at most 14 days long, that does not start in the future.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UsageParams = Schema.Struct({ starting_on: Timestamp.Timestamp, ending_before: Timestamp.Timestamp })

/**
 * The storage of one owner in one project.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StorageUsage = Schema.Struct({
  project_id: nullish(Schema.String),
  org_user_urn: nullish(Schema.String),
  user_email: nullish(Schema.String),
  user_name: nullish(Schema.String),
  checkpoint_count: Schema.Int,
  size_bytes: Schema.Int,
  size_gigabytes: Schema.Finite,
  estimated_monthly_cost_usd: nullish(Schema.Finite)
})

/**
 * The storage that checkpoints occupy now, by project and owner.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StorageUsageResponse = Schema.Struct({
  effective_rate_usd_per_gigabyte_month: nullish(Schema.Finite),
  data: listing(StorageUsage)
})

/**
 * @since 0.1.0
 * @category models
 */
export type StorageUsageResponse = typeof StorageUsageResponse.Type
