/** The options of waiting for a result. */
import type * as Future from "@effect-tinker/api/Future"
import type { ProtobufDecodeError } from "@effect-tinker/api/ProtobufCodec"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import type * as QueueState from "../../QueueState.ts"
import type { Budget } from "../limits/budget.ts"
import type { OperationRecord } from "../telemetry/instrument.ts"
import type { Progress, Watch } from "./progress.ts"
import type { DurationInput } from "../util/duration.ts"

/** Reports which operations have ended, in place of a poll for each. @internal */
export interface Completions {
  /** Waits until an operation has ended. The value is the size of its result in bytes, where that is known. */
  readonly wait: (requestId: string, watch: Watch) => Effect.Effect<number | undefined, TinkerError.TinkerError>
  /** The result has been fetched, or is not wanted any more. */
  readonly done: (requestId: string) => void
}

/** @internal */
export interface Options<A, I> {
  readonly method: string
  readonly requestId: string
  readonly type: Future.RequestType
  readonly schema: Schema.Schema<A, I>
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<A, ProtobufDecodeError>) | undefined
  readonly queue?: QueueState.Observer | undefined
  readonly completions?: Completions | undefined
  /** the budget of bytes for large results */
  readonly responses: Budget
  readonly record: OperationRecord
  readonly progress: Progress
  readonly noProgressLimit: DurationInput
  /** applied to the result */
  readonly map?: ((value: A) => A) | undefined
  /** from building the request to its acceptance */
  readonly roundtripSeconds?: number | undefined
}
