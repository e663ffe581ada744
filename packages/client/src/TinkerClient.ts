/**
 * Sends requests of the contract: encodes, authenticates, retries, maps every failure to a `TinkerError`, decodes.
 *
 * @since 0.1.0
 */
import * as Auth from "@effect-tinker/api/Auth"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Zstd from "@effect-tinker/api/Zstd"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ClientFlags from "./ClientFlags.ts"
import * as accessTokens from "./internal/auth/accessTokens.ts"
import * as jwt from "./internal/auth/jwt.ts"
import { type Caller, makeSemaphore } from "./internal/effect/runtime.ts"
import * as retryReport from "./internal/telemetry/retryReport.ts"
import * as transportCall from "./internal/transport/call.ts"
import type { CallHandler, CallOptions, Params, RawResponse } from "./internal/transport/callOptions.ts"
import type { Endpoint } from "./internal/codec/endpointTraits.ts"
import type { Releasable } from "./internal/util/releasable.ts"
import * as proxyHint from "./internal/network/proxyHint.ts"
import { exchangeOf } from "./internal/transport/exchangeOf.ts"
import * as headers from "./internal/transport/headers.ts"
import * as paymentPause from "./internal/transport/paymentPause.ts"
import { decodeText } from "./internal/transport/readResponse.ts"
import { prepare } from "./internal/transport/request.ts"
import { send } from "./internal/transport/retries.ts"
import { stream, type StreamedResponse } from "./internal/sampling/streamedResponse.ts"
import type { Transport } from "./internal/transport/transport.ts"
import { uuid } from "./internal/util/uuid.ts"
import { version } from "./internal/util/version.ts"
import type * as QueueState from "./QueueState.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as Telemetry from "./Telemetry.ts"
import * as TinkerConfig from "./TinkerConfig.ts"

export {
  type Body,
  type CallHandler,
  type CallOptions,
  Decoded,
  type Params,
  type RawResponse
} from "./internal/transport/callOptions.ts"

export type { StreamedResponse } from "./internal/sampling/streamedResponse.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly config: TinkerConfig.Service
  /**
   * The settings that the service has for its clients. They are requested once, when first needed; a service may have
   * none.
   */
  readonly clientConfig: Effect.Effect<ClientFlags.ClientConfig, TinkerError.TinkerError>
  /** The claims of the token that is sent; `undefined` where a plain key is sent. */
  readonly claims: Effect.Effect<Auth.Claims | undefined, TinkerError.TinkerError>
  readonly telemetry: Telemetry.Telemetry
  /**
   * Reports the failures of an operation that tries again by itself, and not under the policy of `call`: a warning for the
   * first of a kind, at most one a minute; and `retrying` in the queue state, if there is one, once the same failure
   * repeats five times in a row.
   */
  readonly reportRetries: (queue?: QueueState.Observer) => retryReport.RetryReport
  /** Sends one request, and retries it under the policy, with one idempotency key. */
  readonly call: <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(
    endpoint: E,
    payload: HttpApiEndpoint.HttpApiEndpoint.Payload<E>,
    options?: CallOptions & Params<E>
  ) => Effect.Effect<HttpApiEndpoint.HttpApiEndpoint.Success<E>, TinkerError.TinkerError>
  /** As `call`, for the response before it is decoded; it may be a redirect. */
  readonly request: <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(
    endpoint: E,
    payload: HttpApiEndpoint.HttpApiEndpoint.Payload<E>,
    options?: CallOptions & Params<E>
  ) => Effect.Effect<RawResponse, TinkerError.TinkerError>
  /** As `call`, for a response that is read while it arrives. One attempt, without retries. */
  readonly stream: <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(
    endpoint: E,
    payload: HttpApiEndpoint.HttpApiEndpoint.Payload<E>,
    options?: CallOptions & Params<E>
  ) => Effect.Effect<StreamedResponse, TinkerError.TinkerError>
  /**
   * As `call`, with callbacks in place of an effect, for operations of which thousands are in flight. `caller` is the
   * fiber of the operation. The handler may be called before `start` returns, with `onRest`. A release aborts the
   * request, and nothing is called after it.
   */
  readonly start: <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(
    endpoint: E,
    payload: HttpApiEndpoint.HttpApiEndpoint.Payload<E>,
    options: CallOptions & Params<E>,
    caller: Caller,
    handler: CallHandler
  ) => Releasable
}

/**
 * @since 0.1.0
 * @category tags
 */
export class TinkerClient extends Context.Tag("@effect-tinker/client/TinkerClient")<TinkerClient, Service>() {}

const telemetryPolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "5 seconds", billingPause: false }

const readToken = Schema.decodeUnknown(Schema.parseJson(Auth.AuthTokenResponse))

/** Exchanges a credential for a token. */
const requestToken = Effect.fnUntraced(function* (
  transport: Transport,
  credential: Redacted.Redacted,
  policy: RetryPolicy.RetryPolicy
) {
  const endpoint = TinkerApi.authToken as unknown as Endpoint
  const pending = yield* prepare(transport, endpoint, {}, {}, policy, credential)
  const response = yield* send(transport, pending)
  const { jwt } = yield* Effect.mapError(
    readToken(decodeText(response.body)),
    () => new TinkerError.DecodeError({ method: endpoint.name, reason: "jwt: is missing" })
  )
  return jwt
})

interface CachedFlags {
  /** once they have been requested */
  known: ClientFlags.ClientConfig | undefined
  /** requests them once */
  readonly get: Effect.Effect<ClientFlags.ClientConfig, TinkerError.TinkerError>
}

const makeFlags = (call: Service["call"]): Effect.Effect<CachedFlags> =>
  Effect.map(makeSemaphore(1), (lock) => {
    const request = Effect.suspend(() => call(TinkerApi.clientConfig, { sdk_version: version })).pipe(
      Effect.catchTag("NotFound", () => Effect.succeed({})),
      Effect.map((response) => (flags.known = ClientFlags.fromClientConfig(response)))
    )
    const knownOr = <E>(other: Effect.Effect<ClientFlags.ClientConfig, E>) =>
      Effect.suspend(() => (flags.known === undefined ? other : Effect.succeed(flags.known)))
    const flags: CachedFlags = { known: undefined, get: knownOr(lock.withPermits(1)(knownOr(request))) }
    return flags
  })

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TinkerConfig.TinkerConfig | HttpClient.HttpClient | Scope.Scope> =
  Effect.gen(function* () {
    const config = yield* TinkerConfig.TinkerConfig
    const sender = { http: yield* HttpClient.HttpClient, secretNames: headers.secretNames(config) }
    const exchange = exchangeOf(sender.http, sender.secretNames, {
      proxyHint: yield* proxyHint.make,
      httpSpans: config.httpSpans
    })
    const scope = yield* Effect.scope
    const base = new URL(config.baseUrl)
    const call: Service["call"] = (endpoint, payload, options = {}) =>
      transportCall.call(transport, endpoint as never, payload, options as never) as never
    const flags = yield* makeFlags(call)
    const tokens = yield* accessTokens.make({
      credentials: config.credentials,
      flags: flags.get,
      knownFlags: () => flags.known,
      scope,
      exchange: (credential, policy) => requestToken(transport, credential, policy)
    })
    const transport: Transport = {
      exchange,
      maxResponseBytes: config.maxResponseBytes,
      origin: base.origin,
      basePath: `${base.pathname.replace(/\/+$/, "")}${TinkerApi.prefix}`,
      commonHeaders: headers.common(exchange.headers, config),
      idempotencyPrefix: `effect-tinker-${yield* uuid}`,
      // the platform's implementation, if there is one
      zstd: Option.getOrUndefined(yield* Effect.serviceOption(Zstd.Zstd)) ?? (yield* Zstd.make),
      acceptsProtobuf: config.encoding !== "json",
      accessTokens: tokens,
      telemetry: config.telemetry
        ? yield* Telemetry.make(
            (batch) => Effect.asVoid(call(TinkerApi.sendTelemetry, batch, { policy: telemetryPolicy })),
            () => transport.isReachable
          )
        : Telemetry.disabled,
      paymentPause: paymentPause.make(
        () => (flags.known ?? ClientFlags.clientDefaults).billing_exception_max_pause_duration_sec
      ),
      httpSpans: config.httpSpans,
      deprecations: new Set(),
      retryWarnings: new Map(),
      calls: 0,
      edgeRejections: 0,
      isReachable: true
    }
    return {
      config,
      clientConfig: flags.get,
      claims: Effect.map(
        Effect.suspend(() => tokens.current()),
        (token) => jwt.claims(Redacted.value(token))
      ),
      telemetry: transport.telemetry,
      reportRetries: (queue) => retryReport.make(transport.retryWarnings, queue),
      call,
      request: (endpoint, payload, options = {}) =>
        transportCall.request(transport, endpoint as never, payload, options as never),
      stream: (endpoint, payload, options = {}) =>
        stream(transport, sender, endpoint as never, payload, options as never),
      start: (endpoint, payload, options, caller, handler) =>
        transportCall.start(transport, endpoint as never, payload, options as never, caller, handler)
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<TinkerClient, never, TinkerConfig.TinkerConfig | HttpClient.HttpClient> = Layer.scoped(
  TinkerClient,
  make
)
