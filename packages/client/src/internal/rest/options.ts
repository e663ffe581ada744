/** What the methods of `RestClient` take and return, beside the schemas of the API. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import type * as Pagination from "@effect-tinker/api/Pagination"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as TinkerPath from "@effect-tinker/api/TinkerPath"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Stream from "effect/Stream"
import type { DurationInput } from "../util/duration.ts"

/** The result of one operation. */
export type RestEffect<A> = Effect.Effect<A, TinkerError.TinkerError>

/** The items of a listing. Pages are requested as the items are consumed. */
export type RestStream<A> = Stream.Stream<A, TinkerError.TinkerError>

/**
 * A checkpoint, by its path `tinker://<run>/<kind>/<name>` or by the parts of that path.
 *
 * @since 0.1.0
 * @category models
 */
export type Target = string | TinkerPath.TinkerPath

/**
 * One page of a listing. The default limit is 20 for training runs and sessions, and 100 for checkpoints.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly limit?: number | undefined
  readonly offset?: number | undefined
}

/**
 * Which resources are listed: those of the current user by default, or all that the user may read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Access {
  readonly access_scope?: Pagination.AccessScope | undefined
}

/**
 * A filter by project.
 *
 * @since 0.1.0
 * @category models
 */
export interface Project {
  readonly project_id?: string | undefined
}

/**
 * How a listing is paged. To resume a listing, start at the offset of the first item that was not consumed. Items that
 * are deleted meanwhile shift the offsets of those behind them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Walk {
  /** number of items to skip; 0 by default */
  readonly offset?: number | undefined
  /** items per request; 100 by default */
  readonly pageSize?: number | undefined
  /**
   * Concurrent requests, for listings whose total the service reports. The default of 1 never requests a page that is not
   * consumed.
   */
  readonly concurrency?: number | undefined
}

/**
 * A URL that can be fetched without an API key, and the time until which it is valid.
 *
 * @since 0.1.0
 * @category models
 */
export interface SignedUrl {
  readonly url: string
  readonly expires: DateTime.Utc
}

/**
 * The user that the credential belongs to, according to its token.
 *
 * @since 0.1.0
 * @category models
 */
export interface Identity {
  readonly user_urn: string
  readonly email: string | undefined
  /** `tml:organization:<id>` */
  readonly organization_urn: string | undefined
}

/**
 * The checkpoints to delete: a list of them, or all that match every given condition. A selection without any condition
 * fails with `InvalidInput`.
 *
 * @since 0.1.0
 * @category models
 */
export type Selection = { readonly targets: ReadonlyArray<Target> } | SelectionConditions

/** Conditions that a checkpoint must all meet. */
export interface SelectionConditions {
  /** only checkpoints of this run */
  readonly training_run_id?: string | undefined
  readonly checkpoint_type?: Checkpoint.CheckpointType | undefined
  /** saved before this time */
  readonly before?: DateTime.Utc | undefined
  /** saved after this time */
  readonly after?: DateTime.Utc | undefined
  /** saved longer ago than this */
  readonly olderThan?: DurationInput | undefined
}

/**
 * The outcome for one checkpoint of a selection.
 *
 * @since 0.1.0
 * @category models
 */
export type Deletion =
  /** dry run: it would be deleted */
  | (SelectedCheckpoint & { readonly _tag: "Selected" })
  | (SelectedCheckpoint & { readonly _tag: "Deleted" })
  | (SelectedCheckpoint & { readonly _tag: "Failed"; readonly error: TinkerError.TinkerError })

/** A checkpoint that a selection contains. */
export interface SelectedCheckpoint {
  readonly tinker_path: string
  /** its metadata; `undefined` where the selection names it by path */
  readonly checkpoint: Checkpoint.Checkpoint | undefined
}

/**
 * The destination of a copy: a project, or a model slot of a session.
 *
 * @since 0.1.0
 * @category models
 */
export interface CopyOptions {
  readonly destination_project_id?: string | undefined
  readonly session_id?: string | undefined
  readonly model_seq_id?: number | undefined
  readonly ttl_seconds?: number | undefined
  /** an API key of the account that owns the source, where that is another account */
  readonly weightsAccessToken?: Redacted.Redacted | undefined
}
