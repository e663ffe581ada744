/** What the operations of one training client share. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as QueueState from "../../QueueState.ts"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as Session from "../../Session.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import * as sessionLimits from "../limits/sessionLimits.ts"
import { platform } from "#platform"
import type { ChunkLimits } from "./chunking.ts"
import type { Accepted, Operation, Submitted } from "../submissions/operation.ts"
import * as requestEncoding from "./requestEncoding.ts"
import * as submissionQueue from "../submissions/submissionQueue.ts"

/** @internal */
export interface Context {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
  readonly modelId: string
  readonly baseModel: string
  readonly queue: submissionQueue.SubmissionQueue
  readonly queueState: QueueState.Observer
  readonly limits: sessionLimits.Limits
  /** sends forward and forward/backward requests */
  readonly sendRequest: requestEncoding.SendRequest
  readonly chunkLimits: ChunkLimits
  readonly parallelChunks: boolean
  /** the paths that saves of this client have requested, to distinguish lost responses from names that were taken */
  readonly savedPaths: Set<string>
  /** what this client has warned of already */
  readonly warnings: Set<string>
}

/** @internal */
export const make = (options: {
  readonly client: TinkerClient.Service
  readonly session: Session.Service
  readonly modelId: string
  readonly baseModel: string
}): Effect.Effect<Context, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, modelId, session } = options
    const { clientConfig } = session
    const attributes = { "tinker.model_id": modelId }
    const queueState = yield* QueueState.make(`Training of ${modelId}`, attributes)
    const limits = sessionLimits.of(session)
    return {
      ...options,
      queueState,
      limits,
      queue: yield* submissionQueue.make({
        client,
        scope: yield* Effect.scope,
        modelId,
        namesRefused: platform.runtime !== "browser",
        dropsFailedSteps: clientConfig.drops_failed_steps,
        queueState,
        limits,
        name: "TrainingClient",
        attributes
      }),
      sendRequest: requestEncoding.make(client, { compress: clientConfig.proto_compress_fwdbwd }),
      chunkLimits: {
        maxLength: clientConfig.fwdbwd_max_chunk_len,
        maxBytes: clientConfig.fwdbwd_max_chunk_bytes_count
      },
      parallelChunks: clientConfig.parallel_fwdbwd_chunks,
      savedPaths: new Set<string>(),
      warnings: new Set<string>()
    }
  })

/** The options of the HTTP request of an operation. @internal */
export type RequestOptions = Pick<TinkerClient.CallOptions, "method" | "policy" | "onRetry" | "queue" | "headers">

/** Submits an operation that is one request, with the retry policy of its caller. @internal */
export const submitRequest = <A, I>(
  { queue }: Context,
  operation: Pick<Operation<A, I, A>, "method" | "type" | "schema" | "role">,
  send: (seq_id: number, options: RequestOptions) => Effect.Effect<Accepted<A>, TinkerError.TinkerError>
): Submitted<A> =>
  Effect.flatMap(RetryPolicy.CurrentRetryPolicy, (policy) =>
    queue.submit({
      ...operation,
      requestCount: 1,
      send: (seq_id, _index, sending) => send(seq_id, { method: operation.method, policy, ...sending }),
      combine: ([result]) => result!
    })
  )
