/**
 * Searching sessions by owner, project, status and metadata.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { listing } from "./internal/schemas/listing.ts"
import { nullish, nullishWithDefault } from "./internal/schemas/optional.ts"
import { Metadata, openEnum, otherType, ReportedMetadata, taggedUnion } from "./internal/schemas/wire.ts"
import * as Timestamp from "./internal/schemas/timestamp.ts"
import * as Pagination from "./Pagination.ts"
import * as Session from "./Session.ts"

/**
 * Why a session failed: `request` has a `request_id` and a `request_type`, `training_run` and `sampling_session` the id of
 * the same name.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FailedReason = Schema.Struct({
  type: openEnum("request", "training_run", "sampling_session"),
  request_id: nullish(Schema.String),
  request_type: nullish(Schema.String),
  training_run_id: nullish(Schema.String),
  sampling_session_id: nullish(Schema.String)
})

/**
 * The status of a session. Statuses that this version does not know decode to their `type` only.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionStatus = taggedUnion(
  "type",
  Schema.Struct({ type: Schema.Literal("active") }),
  Schema.Struct({ type: Schema.Literal("cancelled"), detail: nullish(Schema.String) }),
  Schema.Struct({
    type: Schema.Literal("client_finished"),
    reason: Session.FinishReason,
    detail: nullish(Schema.String)
  }),
  Schema.Struct({
    type: Schema.Literal("failed"),
    category: openEnum("user", "internal"),
    reason: FailedReason,
    message: Schema.String
  }),
  Schema.Struct({ type: otherType("active", "cancelled", "client_finished", "failed") })
)

/**
 * @since 0.1.0
 * @category models
 */
export type SessionStatus = typeof SessionStatus.Type

/**
 * A filter by status.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionStatusQuery = taggedUnion(
  "type",
  Schema.Struct({ type: Schema.Literal("active", "cancelled", "failed") }),
  Schema.Struct({
    type: Schema.Literal("client_finished"),
    reasons: nullish(Schema.Array(openEnum("success", "errored", "interrupted")).pipe(Schema.minItems(1)))
  })
)

/**
 * @since 0.1.0
 * @category models
 */
export type SessionStatusQuery = typeof SessionStatusQuery.Type

/**
 * A session that matches a search.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionSummary = Schema.Struct({
  session_id: Schema.String,
  created_at: Timestamp.Timestamp,
  owner: Schema.String,
  project_id: Schema.String,
  status: nullish(SessionStatus),
  checkpoints_count: Schema.Int,
  display_name: nullish(Schema.String),
  user_metadata: nullish(ReportedMetadata),
  checkpoint_storage_bytes: nullish(Schema.Int)
})

/**
 * @since 0.1.0
 * @category models
 */
export type SessionSummary = typeof SessionSummary.Type

/**
 * The start of the next page; pass it back unchanged.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionSearchCursor = Schema.Struct({ last_created_at: Schema.String, last_session_id: Schema.String })

/**
 * A search through sessions, newest first. A session must match `session_id` or words of `display_name`, if either is
 * present, and all other filters.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionSearchRequest = Schema.Struct({
  session_id: nullish(Schema.String),
  project_ids: nullish(Schema.Array(Schema.String)),
  user_metadata: nullishWithDefault(Metadata, () => ({})),
  display_name: nullish(Schema.NonEmptyString),
  owner: nullishWithDefault(Pagination.SearchOwner, () => ({ type: "own" as const })),
  statuses: nullish(Schema.Array(SessionStatusQuery).pipe(Schema.minItems(1))),
  limit: nullishWithDefault(Pagination.SearchLimit, () => 50),
  cursor: nullish(SessionSearchCursor)
})

/**
 * @since 0.1.0
 * @category models
 */
export type SessionSearchRequest = typeof SessionSearchRequest.Type

/**
 * A page of sessions.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionSearchResponse = Schema.Struct({
  sessions: listing(SessionSummary),
  next_cursor: nullish(SessionSearchCursor)
})

/**
 * @since 0.1.0
 * @category models
 */
export type SessionSearchResponse = typeof SessionSearchResponse.Type
