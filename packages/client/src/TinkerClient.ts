/**
 * Sends requests of the contract: encodes, authenticates, retries, maps every failure to a `TinkerError`, decodes.
 *
 * @since 0.1.0
 */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import { prefix } from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as codec from "./internal/codec.ts"
import { userAgent } from "./internal/version.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as TinkerConfig from "./TinkerConfig.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Body {
  readonly contentType: string
  readonly bytes: Uint8Array
  /** sends it in one zstd frame */
  readonly compress?: boolean | undefined
}

/**
 * The value of an answer that was not JSON.
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
  /** the policy of the current call tree by default */
  readonly policy?: RetryPolicy.RetryPolicy | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  /** the future that the request is about, for errors */
  readonly requestId?: string | undefined
  /** the payload in another encoding, sent in place of its JSON */
  readonly body?: Body | undefined
  /** reads a protobuf answer, which is then asked for; its value comes back as `Decoded` */
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<unknown, ProtobufCodec.ProtobufDecodeError>) | undefined
}

/**
 * What an endpoint takes besides a body: the parts of its path, and its query.
 *
 * @since 0.1.0
 * @category models
 */
export interface Params<E extends HttpApiEndpoint.HttpApiEndpoint.Any> {
  readonly path?: HttpApiEndpoint.HttpApiEndpoint.PathParsed<E> | undefined
  readonly urlParams?: HttpApiEndpoint.HttpApiEndpoint.UrlParams<E> | undefined
}

/**
 * An answer as it came: a success, or a redirect, which is not followed. Names of headers are in lower case.
 *
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  readonly url: string
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly config: TinkerConfig.Service
  /** Sends one request, tried again as the policy says; the idempotency key stays the same over all attempts. */
  readonly call: <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(
    endpoint: E,
    payload: HttpApiEndpoint.HttpApiEndpoint.Payload<E>,
    options?: CallOptions & Params<E>
  ) => Effect.Effect<HttpApiEndpoint.HttpApiEndpoint.Success<E>, TinkerError.TinkerError>
  /** As `call`, with the answer as it came; it may be a redirect. */
  readonly request: <E extends HttpApiEndpoint.HttpApiEndpoint.Any>(
    endpoint: E,
    payload: HttpApiEndpoint.HttpApiEndpoint.Payload<E>,
    options?: CallOptions & Params<E>
  ) => Effect.Effect<Answer, TinkerError.TinkerError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class TinkerClient extends Context.Tag("@effect-tinker/client/TinkerClient")<TinkerClient, Service>() {}

const uuid = Effect.gen(function* () {
  const words: Array<string> = []
  for (let i = 0; i < 4; i++) {
    words.push((yield* Random.nextIntBetween(0, 2 ** 32)).toString(16).padStart(8, "0"))
  }
  const hex = words.join("")
  const variant = "89ab"[Number.parseInt(hex[16]!, 16) & 3]
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20)
  ].join("-")
})

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TinkerConfig.TinkerConfig | HttpClient.HttpClient> = Effect.gen(
  function* () {
    const config = yield* TinkerConfig.TinkerConfig
    const http = yield* HttpClient.HttpClient
    // a platform's own where it has one
    const zstd = Option.getOrElse(yield* Effect.serviceOption(Zstd.Zstd), () => undefined) ?? (yield* Zstd.make)

    const send = Effect.fnUntraced(
      function* (
        request: HttpClientRequest.HttpClientRequest,
        method: string,
        policy: RetryPolicy.RetryPolicy,
        requestId: string | undefined
      ) {
        const about = { method, ...(requestId === undefined ? {} : { requestId }) }
        const lost = (reason: "Connection" | "Timeout", cause?: unknown) =>
          new TinkerError.TransportError({
            ...about,
            reason,
            url: request.url,
            ...(cause === undefined ? {} : { cause })
          })
        const fromClientError = (error: HttpClientError.HttpClientError) =>
          error._tag === "RequestError" && error.reason === "InvalidUrl"
            ? new TinkerError.TransportError({ ...about, reason: "InvalidUrl", url: request.url })
            : lost("Connection", error.cause)
        const exchange: Effect.Effect<
          readonly [HttpClientResponse.HttpClientResponse, Uint8Array],
          TinkerError.TinkerError
        > = http.execute(request).pipe(
          Effect.flatMap((response) =>
            Effect.map(response.arrayBuffer, (body) => [response, new Uint8Array(body)] as const)
          ),
          Effect.mapError(fromClientError),
          Effect.timeoutFail({ duration: policy.timeout, onTimeout: () => lost("Timeout") })
        )
        const [response, body] = yield* exchange
        if (response.status >= 200 && response.status < 400) {
          return { url: request.url, status: response.status, headers: response.headers, body } satisfies Answer
        }
        // an edge proxy's rejection, not the service's
        if (response.status === 400 && body.length === 0) return yield* lost("Connection")
        return yield* TinkerError.fromAnswer({
          method,
          status: response.status,
          headers: response.headers,
          body: new TextDecoder().decode(body),
          requestId,
          now: yield* Clock.currentTimeMillis
        })
      },
      Effect.locallyWith(Headers.currentRedactedNames, (names) => [...names, "x-api-key"]),
      // fetch would take the key along to wherever a redirect leads
      Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
    )

    const setBody = Effect.fnUntraced(function* ({ bytes, compress = false, contentType }: Body) {
      if (!compress) return HttpClientRequest.bodyUint8Array(bytes, contentType)
      const frame = yield* zstd.compress(bytes)
      return (request: HttpClientRequest.HttpClientRequest) =>
        request.pipe(
          HttpClientRequest.bodyUint8Array(frame, contentType),
          HttpClientRequest.setHeader("content-encoding", Zstd.contentEncoding)
        )
    })

    const request: Service["request"] = (of, payload, options = {}) =>
      Effect.gen(function* () {
        const endpoint = of as unknown as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps
        const method = options.method ?? endpoint.name
        const { encode, query } = codec.of(endpoint)
        const policy = options.policy ?? (yield* RetryPolicy.CurrentRetryPolicy)
        const json =
          options.body === undefined
            ? yield* encode(payload).pipe(Effect.mapError((error) => codec.invalid(method, error)))
            : undefined
        const path = yield* codec.path(method, endpoint.path, options.path as never)
        const search = yield* query(options.urlParams).pipe(Effect.mapError((error) => codec.invalid(method, error)))
        const base = HttpClientRequest.make(endpoint.method)(`${config.baseUrl}${prefix}${path}${search}`).pipe(
          HttpClientRequest.setHeaders({
            accept:
              options.protobuf === undefined ? "application/json" : `${ProtobufCodec.contentType}, application/json`,
            "user-agent": userAgent,
            "x-api-key": Redacted.value(config.apiKey),
            "x-stainless-read-timeout": String(Duration.toSeconds(policy.timeout)),
            ...options.headers
          }),
          options.body !== undefined
            ? yield* setBody(options.body)
            : json === undefined
              ? (request) => request
              : HttpClientRequest.bodyText(json, "application/json")
        )
        const complete =
          endpoint.method === "GET"
            ? base
            : HttpClientRequest.setHeader(base, "x-idempotency-key", `effect-tinker-${yield* uuid}`)
        let attempt = 0
        return yield* Effect.suspend(() =>
          send(
            HttpClientRequest.setHeader(complete, "x-stainless-retry-count", String(attempt++)),
            method,
            policy,
            options.requestId
          )
        ).pipe(RetryPolicy.apply(policy))
      })

    /** Where the redirects of a GET lead; the key goes no further than the service itself. */
    const follow = Effect.fnUntraced(function* (first: Answer, method: string) {
      let answer = first
      for (let hops = 0; hops < 5 && answer.status >= 300; hops++) {
        const location = answer.headers["location"]
        if (location === undefined || !URL.canParse(location, answer.url)) break
        const next = new URL(location, answer.url)
        const policy = yield* RetryPolicy.CurrentRetryPolicy
        answer = yield* send(
          HttpClientRequest.get(next).pipe(
            HttpClientRequest.setHeaders({
              accept: "application/json",
              "user-agent": userAgent,
              ...(next.origin === new URL(config.baseUrl).origin ? { "x-api-key": Redacted.value(config.apiKey) } : {})
            })
          ),
          method,
          policy,
          undefined
        ).pipe(RetryPolicy.apply(policy))
      }
      return answer
    })

    const call: Service["call"] = (of, payload, options = {}) =>
      Effect.gen(function* () {
        const endpoint = of as unknown as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps
        const method = options.method ?? endpoint.name
        const { decode } = codec.of(endpoint)
        const first = yield* request(of, payload, options)
        const answer = endpoint.method === "GET" ? yield* follow(first, method) : first
        const unreadable = (reason: string) =>
          new TinkerError.DecodeError({
            method,
            reason,
            ...(options.requestId === undefined ? {} : { requestId: options.requestId })
          })
        if (answer.status >= 300) {
          return yield* unreadable(`status ${answer.status} to ${answer.headers["location"] ?? "an unknown place"}`)
        }
        if (ProtobufCodec.isProtobuf(answer.headers["content-type"])) {
          if (options.protobuf === undefined) return yield* unreadable("protobuf came where JSON was asked for")
          const read = options.protobuf(answer.body)
          return Either.isRight(read) ? new Decoded({ value: read.right }) : yield* unreadable(read.left.message)
        }
        return yield* decode(new TextDecoder().decode(answer.body)).pipe(
          Effect.mapError((error) => unreadable(codec.reason(error)))
        )
      }) as never

    return { config, call, request }
  }
)

/**
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<TinkerClient, never, TinkerConfig.TinkerConfig | HttpClient.HttpClient> = Layer.effect(
  TinkerClient,
  make
)
