/** What the modules of the hub share: its error, the settings, and what identifies the files of a repository. */
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { optionalKey } from "../util/optionalKey.ts"

/**
 * The files of a repository could not be fetched.
 *
 * - `Invalid`: the name of the repository or of the revision, the endpoint or the token is malformed; nothing was sent
 * - `Unauthorized`: the token is missing, invalid or lacks the permission, or the repository does not exist
 * - `Gated`: the account has no access to the repository
 * - `NotFound`: the repository or the revision does not exist
 * - `NotCached`: the hub is offline, and the cache does not contain the files
 * - `Unreachable`: the hub did not respond, or what did respond is not a hub, such as a proxy
 * - `Corrupt`: a file does not have the size or the hash that the hub announced
 * - `Cache`: the cache on disk cannot be read or written
 *
 * @since 0.1.0
 * @category errors
 */
export class HubError extends Schema.TaggedError<HubError>("@effect-tinker/tokenizers/Hub/HubError")("HubError", {
  reason: Schema.Literal(
    "Invalid",
    "Unauthorized",
    "Gated",
    "NotFound",
    "NotCached",
    "Unreachable",
    "Corrupt",
    "Cache"
  ),
  repo: Schema.String,
  revision: Schema.String,
  /** what happened and what to do */
  detail: Schema.String,
  status: optionalKey(Schema.Number),
  requestId: optionalKey(Schema.String),
  /** what the hub calls the failure (`x-error-code`), such as `RevisionNotFound` */
  code: optionalKey(Schema.String),
  /** how long the hub asked to wait, in seconds */
  retryAfter: optionalKey(Schema.Number),
  cause: optionalKey(Schema.Defect)
}) {
  /** whether the same request may succeed later */
  get isRetryable(): boolean {
    return this.reason === "Unreachable" || this.reason === "Corrupt"
  }
  override get message(): string {
    const request = this.requestId === undefined ? "" : ` (request ${this.requestId})`
    return `${this.repo} at ${this.revision}: ${this.detail}${request}`
  }
}

/**
 * A repository at a branch, tag or commit; `main` by default.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ref {
  readonly repo: string
  readonly revision?: string | undefined
}

/**
 * The files of a repository at one commit.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  /** the directory that contains the files */
  readonly directory: string
  /** the commit that the revision resolved to, 40 hexadecimal digits */
  readonly commit: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the directory of the cache, such as `~/.cache/huggingface/hub` */
  readonly cache: string
  /** an access token, for private and gated repositories; it is sent to the endpoint only */
  readonly token?: Redacted.Redacted | undefined
  /** the URL of the hub; `https://huggingface.co` by default */
  readonly endpoint?: string | undefined
  /** use the cache only; false by default */
  readonly offline?: boolean | undefined
}

/** A repository at a revision, and the options to reach it with. @internal */
export interface Target {
  readonly kind: "model" | "dataset"
  readonly repo: string
  readonly revision: string
  readonly options: Options
}

/** A target whose options were checked, so that requests can be sent. @internal */
export interface Remote extends Target {
  /** a URL without a slash at its end */
  readonly endpoint: string
  readonly token: Redacted.Redacted | undefined
}

/** @internal */
export const makeTarget = (
  { repo, revision = "main" }: Ref,
  options: Options,
  kind: Target["kind"] = "model"
): Target => ({ kind, repo, revision, options })

/** The details of an error. @internal */
export interface ErrorDetails {
  readonly status?: number
  readonly requestId?: string | undefined
  readonly code?: string | undefined
  readonly retryAfter?: number | undefined
  readonly cause?: unknown
}

/** @internal */
export const makeError = (
  { repo, revision }: Target,
  reason: HubError["reason"],
  detail: string,
  { cause, code, requestId, retryAfter, status }: ErrorDetails = {}
): HubError =>
  new HubError({
    reason,
    repo,
    revision,
    detail,
    ...(status === undefined ? {} : { status }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(code === undefined ? {} : { code }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(cause === undefined ? {} : { cause })
  })
