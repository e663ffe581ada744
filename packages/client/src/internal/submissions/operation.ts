/** Describes an operation of a training client: the requests that it consists of, and how to read their results. */
import type * as Future from "@effect-tinker/api/Future"
import type { ProtobufDecodeError } from "@effect-tinker/api/ProtobufCodec"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import type * as QueueState from "../../QueueState.ts"
import type * as TinkerFuture from "../../TinkerFuture.ts"
import type { Usage } from "../telemetry/usage.ts"
import type { Role } from "./steps.ts"

/**
 * Submits an operation when it runs, and returns its future. It fails only for invalid input, before anything is sent;
 * the future fails with any later error.
 *
 * @since 0.1.0
 * @category models
 */
export type Submitted<A, E = never, R = never> = Effect.Effect<
  TinkerFuture.TinkerFuture<A, TinkerError.TinkerError | E>,
  TinkerError.InvalidInput,
  R
>

/** An accepted request: the id of its future, or its result where that is known already. @internal */
export type Accepted<A> = { readonly request_id: string } | { readonly result: A }

/** What a request of an operation is sent with. @internal */
export interface Sending {
  readonly headers: { readonly [name: string]: string }
  /** called with the reason before each retry */
  readonly onRetry: (error: TinkerError.TinkerError) => void
  readonly queue: QueueState.Observer
}

/** An operation whose requests each give an `A`, which are combined into one `B`. @internal */
export interface Operation<A, I, B> {
  readonly method: string
  readonly type: Future.RequestType
  readonly schema: Schema.Schema<A, I>
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<A, ProtobufDecodeError>) | undefined
  readonly role: Role
  /** number of requests, each with its sequence number */
  readonly requestCount: number
  /** sends the requests concurrently, but the first one last; otherwise one after the other */
  readonly parallel?: boolean | undefined
  /** size of all requests, for telemetry */
  readonly bytes?: number | undefined
  /** the array of datums that the program gave, to recognize it when it is given again */
  readonly batch?: object | undefined
  /** the tokens of all requests, for telemetry */
  readonly usage?: Pick<Usage, "operation" | "inputTokens"> | undefined
  /** Sends the request at an index. */
  readonly send: (seqId: number, index: number, sending: Sending) => Effect.Effect<Accepted<A>, TinkerError.TinkerError>
  /**
   * Sends a request that changes nothing, so that a number which the operation does not use is not missing. It is made from
   * the request at the index.
   */
  readonly fill?: (
    seqId: number,
    index: number,
    sending: Sending
  ) => Effect.Effect<Accepted<A>, TinkerError.TinkerError>
  readonly combine: (results: ReadonlyArray<A>) => B
}
