/** Waits for the results of an operation that the service has accepted. */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import type * as QueueState from "../../QueueState.ts"
import type * as TinkerClient from "../../TinkerClient.ts"
import type * as sessionLimits from "../limits/sessionLimits.ts"
import type * as progress from "../polling/progress.ts"
import { retrieve } from "../polling/retrieve.ts"
import type { OperationRecord } from "../telemetry/instrument.ts"
import type { Accepted, Operation } from "./operation.ts"
import type { DurationInput } from "../util/duration.ts"

/** @internal */
export interface Context {
  readonly client: TinkerClient.Service
  readonly queueState: QueueState.Observer
  readonly limits: sessionLimits.Limits
  readonly progress: progress.Progress
}

/** Polls for the results of all requests, and combines them. @internal */
export const awaitResults = <A, I, B>(
  context: Context,
  operation: Operation<A, I, B>,
  accepted: ReadonlyArray<Accepted<A>>,
  options: {
    readonly record: OperationRecord
    readonly noProgressLimit: DurationInput
    readonly roundtripSeconds: number
  }
): Effect.Effect<B, TinkerError.TinkerError> => {
  const awaitResult = (request: Accepted<A>): Effect.Effect<A, TinkerError.TinkerError> =>
    "result" in request
      ? Effect.succeed(request.result)
      : retrieve(context.client, {
          method: operation.method,
          requestId: request.request_id,
          type: operation.type,
          schema: operation.schema,
          protobuf: operation.protobuf,
          queue: context.queueState,
          responses: context.limits.responses,
          record: options.record,
          progress: context.progress,
          noProgressLimit: options.noProgressLimit,
          roundtripSeconds: options.roundtripSeconds
        })
  const results =
    accepted.length === 1
      ? Effect.map(awaitResult(accepted[0]!), (result) => [result])
      : Effect.forEach(accepted, awaitResult, { concurrency: "unbounded" })
  return Effect.map(results, operation.combine)
}
