/** The arguments and results of the transport: options, bodies, raw responses, callbacks. */
import type * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Tracer from "effect/Tracer"
import type * as QueueState from "../../QueueState.ts"
import type * as RetryPolicy from "../../RetryPolicy.ts"
import type { BufferedResponse } from "./exchange.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Body {
  readonly contentType: string
  readonly bytes: Uint8Array
  /** sends it as one zstd frame */
  readonly compress?: boolean | undefined
}

/**
 * The value of a response that was not JSON.
 *
 * @since 0.1.0
 * @category models
 */
export class Decoded extends Data.Class<{ readonly value: unknown }> {}

/**
 * @since 0.1.0
 * @category models
 */
export interface CallOptions {
  /** the name of the operation in errors; the endpoint's name by default */
  readonly method?: string | undefined
  /** `RetryPolicy.CurrentRetryPolicy` by default */
  readonly policy?: RetryPolicy.RetryPolicy | undefined
  /** override the client's own headers; an `x-api-key` is sent in place of the client's credential */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** the future that the request is about, for errors */
  readonly requestId?: string | undefined
  /** the payload in another encoding, sent in place of its JSON */
  readonly body?: Body | undefined
  /** accepts a protobuf response and decodes it; its value is returned as `Decoded` */
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<unknown, ProtobufCodec.ProtobufDecodeError>) | undefined
  /** the parent of the request's own span; the current span by default */
  readonly span?: Tracer.AnySpan | undefined
  /** called with the reason before each retry, also after a billing pause */
  readonly onRetry?: ((error: TinkerError.TinkerError) => void) | undefined
  /** is told `retrying` once the same failure repeats; without it, that is logged alone */
  readonly queue?: QueueState.Observer | undefined
}

/**
 * What an endpoint takes besides a body: the parameters of its path, and its query.
 *
 * @since 0.1.0
 * @category models
 */
export interface Params<E extends HttpApiEndpoint.HttpApiEndpoint.Any> {
  readonly path?: HttpApiEndpoint.HttpApiEndpoint.PathParsed<E> | undefined
  readonly urlParams?: HttpApiEndpoint.HttpApiEndpoint.UrlParams<E> | undefined
}

/**
 * A response before its body is decoded: a success, or a redirect, which is not followed.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawResponse extends BufferedResponse {
  readonly url: string
}

/**
 * What `Service.start` calls: one of its members, once.
 *
 * @since 0.1.0
 * @category models
 */
export interface CallHandler {
  /** the first attempt succeeded, and this is the decoded response */
  readonly onValue: (value: unknown) => void
  /** what remains to be done: the effect retries, fetches a token, follows a redirect, or fails */
  readonly onRest: (rest: Effect.Effect<unknown, TinkerError.TinkerError>) => void
}

/** Options and parameters of any endpoint. @internal */
export type AnyCallOptions = CallOptions & Params<HttpApiEndpoint.HttpApiEndpoint.Any>
