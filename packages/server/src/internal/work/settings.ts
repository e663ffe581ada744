/** The options of the service, and their defaults. */
import type * as Session from "@effect-tinker/api/Session"
import type * as Duration from "effect/Duration"
import { type DurationInput, toDuration } from "../util/duration.ts"

/** @internal */
export interface Options {
  /** how long a poll waits for a result before the response is "try again"; 20 seconds */
  readonly longPoll?: DurationInput | undefined
  /** how long after a client hung up in a poll for a sample it may poll again, before the sample is cancelled; 30 seconds */
  readonly hangUpGrace?: DurationInput | undefined
  /** how long operations wait for a missing `seq_id` before them until they fail; 60 seconds */
  readonly gapTimeout?: DurationInput | undefined
  /** a session ends when it has had no request for this long; 5 minutes */
  readonly sessionTimeout?: DurationInput | undefined
  /** how long results are retained, 1 hour; a delivered one less, if another 2,000 or 128 MiB were delivered after it */
  readonly resultRetention?: DurationInput | undefined
  /** how long the results of a session that has ended are retained; 1 minute */
  readonly endedRetention?: DurationInput | undefined
  /** clients that allow it get only the size of results above this many bytes at first; 1 MiB */
  readonly inlineLimit?: number | undefined
  /** how long the engine's samplers may be idle before they are released; 1 minute */
  readonly samplerIdle?: DurationInput | undefined
  /** how many operations of one user are in the engine at a time, with those that let others have their turn; 8 */
  readonly concurrency?: number | undefined
  /** how many operations of a user may be queued or running, over all sessions; more get 429; 4,096 */
  readonly maxPending?: number | undefined
  /** the memory that the requests of these operations may take, in bytes; more get 429; 512 MiB */
  readonly maxPendingBytes?: number | undefined
  /** the memory that the results of a user may take that were never fetched; new operations get 429 then; 1 GiB */
  readonly maxResultBytes?: number | undefined
  /** how many sessions of a user may be unfinished; more get 429; 1,000 */
  readonly maxSessions?: number | undefined
  /** how many models the unfinished sessions of a user may have, unloaded ones too; more get 409; 1,000 */
  readonly maxModels?: number | undefined
  /** how many sampling sessions the unfinished sessions of a user may have; more get 409; 10,000 */
  readonly maxSamplers?: number | undefined
  /** the memory that weights which were saved without a name may take, in bytes; more get 409; 4 GiB */
  readonly maxSamplerBytes?: number | undefined
  /** how large the checkpoints of a user may be together, in bytes; more get 507; without a limit by default */
  readonly quota?: number | undefined
  /** whether a model rejects `load_weights` once it was used (`seq_id` above 1), as SkyRL does; false */
  readonly strictLoad?: boolean | undefined
  /** the client configuration that the service returns, beside those that only this service has */
  readonly clientConfig?: Session.ClientConfigResponse | undefined
}

/** The options with their defaults. @internal */
export interface Settings {
  readonly quota: number | undefined
  readonly longPoll: Duration.Duration
  readonly hangUpGrace: Duration.Duration
  readonly gapTimeout: Duration.Duration
  readonly sessionTimeout: Duration.Duration
  readonly resultRetention: Duration.Duration
  readonly endedRetention: Duration.Duration
  readonly samplerIdle: Duration.Duration
  readonly concurrency: number
  readonly inlineLimit: number
  readonly maxPending: number
  readonly maxPendingBytes: number
  readonly maxResultBytes: number
  readonly maxSessions: number
  readonly maxModels: number
  readonly maxSamplers: number
  readonly maxSamplerBytes: number
  readonly strictLoad: boolean
  readonly clientConfig: Session.ClientConfigResponse
}

/** @internal */
export const make = (options: Options): Settings => ({
  quota: options.quota,
  longPoll: toDuration(options.longPoll ?? "20 seconds"),
  hangUpGrace: toDuration(options.hangUpGrace ?? "30 seconds"),
  gapTimeout: toDuration(options.gapTimeout ?? "60 seconds"),
  sessionTimeout: toDuration(options.sessionTimeout ?? "5 minutes"),
  resultRetention: toDuration(options.resultRetention ?? "1 hour"),
  endedRetention: toDuration(options.endedRetention ?? "1 minute"),
  samplerIdle: toDuration(options.samplerIdle ?? "1 minute"),
  concurrency: Math.max(1, options.concurrency ?? 8),
  inlineLimit: options.inlineLimit ?? 1024 * 1024,
  maxPending: options.maxPending ?? 4096,
  maxPendingBytes: options.maxPendingBytes ?? 512 * 1024 * 1024,
  maxResultBytes: options.maxResultBytes ?? 1024 * 1024 * 1024,
  maxSessions: options.maxSessions ?? 1000,
  maxModels: options.maxModels ?? 1000,
  maxSamplers: options.maxSamplers ?? 10_000,
  maxSamplerBytes: options.maxSamplerBytes ?? 4 * 1024 * 1024 * 1024,
  strictLoad: options.strictLoad ?? false,
  clientConfig: { sample_streams: true, drops_failed_steps: true, ...options.clientConfig }
})
