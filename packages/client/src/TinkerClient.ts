/**
 * Sends requests of the contract: encodes, authenticates, retries, maps every failure to a `TinkerError`, decodes.
 *
 * @since 0.1.0
 */
import * as Auth from "@effect-tinker/api/Auth"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import * as ClientFlags from "./ClientFlags.ts"
import * as Billing from "./internal/transport/paymentPause.ts"
import * as codec from "./internal/codec/endpoint.ts"
import * as jwt from "./internal/auth/jwt.ts"
import { machine } from "./internal/transport/platform.ts"
import { millis } from "./internal/util/millis.ts"
import * as Tokens from "./internal/auth/accessTokens.ts"
import {
  direct,
  quick,
  toPlatform,
  type Direct,
  type Held,
  type Incoming,
  type Outgoing,
  type Quick,
  type QuickThen
} from "./internal/transport/exchange.ts"
import { uuid } from "./internal/util/uuid.ts"
import { userAgent, version } from "./internal/util/version.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as Telemetry from "./Telemetry.ts"
import * as TinkerConfig from "./TinkerConfig.ts"

const { prefix } = TinkerApi
const text = new TextDecoder()
const readToken = Schema.decodeUnknown(Schema.parseJson(Auth.AuthTokenResponse))

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
  /** they win over the client's own; an `x-api-key` is sent in place of the client's credential */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** the future that the request is about, for errors */
  readonly requestId?: string | undefined
  /** the payload in another encoding, sent in place of its JSON */
  readonly body?: Body | undefined
  /** reads a protobuf answer, which is then asked for; its value comes back as `Decoded` */
  readonly protobuf?: ((bytes: Uint8Array) => Either.Either<unknown, ProtobufCodec.ProtobufDecodeError>) | undefined
  /** the parent of the request's own span; the current one by default */
  readonly span?: Tracer.AnySpan | undefined
  /** told why, whenever the request is about to be sent again, also after a billing pause */
  readonly onRetry?: ((error: TinkerError.TinkerError) => void) | undefined
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
  /** What the service wants of its clients: asked for once, when it is first needed. A service may have none. */
  readonly clientConfig: Effect.Effect<ClientFlags.ClientConfig, TinkerError.TinkerError>
  /** What the token that is sent says of its owner; `undefined` where a plain key is sent, which says nothing. */
  readonly claims: Effect.Effect<Auth.Claims | undefined, TinkerError.TinkerError>
  readonly telemetry: Telemetry.Telemetry
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

// these are about the credential itself, and the first says whether it is to be exchanged
const withCredential = new Set(["clientConfig", "authToken", "getApiKey", "deleteApiKey"])

// no method of a user's stands behind these, or their failures are told of elsewhere
const background = new Set([
  "clientConfig",
  "clientDynamicConfig",
  "authToken",
  "createSession",
  "sessionHeartbeat",
  "finishSession",
  "sendTelemetry",
  "retrieveFuture",
  "retrieveFutures",
  "cancelFuture"
])

const owners: { readonly [endpoint: string]: string } = {
  createModel: "ServiceClient",
  createSamplingSession: "ServiceClient",
  joinSamplingSession: "SamplingClient",
  asample: "SamplingClient",
  getInfo: "TrainingClient",
  forward: "TrainingClient",
  forwardBackward: "TrainingClient",
  optimStep: "TrainingClient",
  saveWeights: "TrainingClient",
  saveWeightsForSampler: "TrainingClient",
  saveWeightsExternal: "TrainingClient",
  loadWeights: "TrainingClient",
  createCustomLoss: "TrainingClient"
}

const maxEdgeRejections = 16
const billingDelay = Duration.seconds(5)

const telemetryPolicy: RetryPolicy.RetryPolicy = { ...RetryPolicy.never, timeout: "5 seconds", billingPause: false }

interface About {
  readonly method: string
  readonly requestId?: string
}

/** A request without what each attempt adds. */
interface Prepared extends Outgoing {
  /** what it says as all do, beside its own headers; no copy is kept while it is under way */
  readonly common: Outgoing["headers"]
}

/** A request under way. */
interface Sending {
  /** without its credential, unless that is given */
  request: Prepared
  readonly endpoint: string
  readonly about: About
  readonly policy: RetryPolicy.RetryPolicy
  /** `given` is in the request already */
  readonly credential: "current" | "plain" | "given" | Redacted.Redacted
  attempts: number
  readonly onRetry: CallOptions["onRetry"]
  readonly span: CallOptions["span"]
}

/** Where a header stands, or -1. */
const indexOf = (headers: Outgoing["headers"], name: string): number => {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return i
  return -1
}

const urlOf = ({ origin, path }: Outgoing) => `${origin}${path}`

const without = (headers: Outgoing["headers"], name: string): Outgoing["headers"] =>
  headers.filter((_, i) => headers[i - (i % 2)] !== name)

const isRejectedToken = (answer: Answer) =>
  answer.status === 401 && /error="?invalid_token"?/.test(answer.headers["www-authenticate"] ?? "")

// undici's names for its timeouts, and Node's
const timeoutCodes = new Set([
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "ETIMEDOUT"
])

const isTimeout = (cause: unknown) =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" && timeoutCodes.has(cause.code)

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TinkerConfig.TinkerConfig | HttpClient.HttpClient | Scope.Scope> =
  Effect.gen(function* () {
    const config = yield* TinkerConfig.TinkerConfig
    const http = yield* HttpClient.HttpClient
    const scope = yield* Effect.scope
    // a platform's own where it has one
    const zstd = Option.getOrUndefined(yield* Effect.serviceOption(Zstd.Zstd)) ?? (yield* Zstd.make)
    const short = direct in http ? (http as HttpClient.HttpClient & Direct)[direct] : undefined
    // with the number of the call, the idempotency key
    const identity = yield* uuid
    let calls = 0

    const base = new URL(config.baseUrl)
    const basePath = `${base.pathname.replace(/\/+$/, "")}${prefix}`

    const always: ReadonlyArray<string> = [
      ...(short?.headers ?? []),
      "user-agent",
      userAgent,
      "x-sdk-version",
      version,
      "x-stainless-package-version",
      version,
      "x-stainless-os",
      machine.os,
      "x-stainless-arch",
      machine.arch,
      "x-stainless-runtime",
      machine.runtime,
      "x-stainless-runtime-version",
      machine.runtimeVersion,
      ...Object.entries(config.headers).flatMap(([name, value]) => [name, Redacted.value(value)])
    ]
    const commonNames = new Set(always.filter((_, i) => i % 2 === 0))
    const secretNames = ["x-api-key", "x-tinker-weights-access-token", ...Object.keys(config.headers)]

    let flags: ClientFlags.ClientConfig | undefined
    let edgeRejections = 0
    const deprecations = new Set<string>()
    const billing = Billing.make(() => (flags ?? ClientFlags.clientDefaults).billing_exception_max_pause_duration_sec)

    const lost = (url: string, about: About, reason: "Connection" | "Timeout" | "InvalidUrl", cause?: unknown) =>
      new TinkerError.TransportError({ ...about, reason, url, ...(cause === undefined ? {} : { cause }) })

    const unanswered = (url: string, about: About, cause: unknown) =>
      lost(url, about, isTimeout(cause) ? "Timeout" : "Connection", cause)

    /** One attempt: whatever was answered, or that nothing was. */
    const exchange = (
      request: Outgoing,
      about: About,
      policy: RetryPolicy.RetryPolicy,
      then: (answer: Answer) => Effect.Effect<Answer, TinkerError.TinkerError>
    ): Effect.Effect<Answer, TinkerError.TinkerError> => {
      const limit = millis(policy.timeout)
      const url = urlOf(request)
      if (short !== undefined) {
        return Effect.async((resume) => {
          const asked = short.ask(request, limit, {
            onNone: (cause) => resume(unanswered(url, about, cause)),
            onAnswer: ({ body, headers, status }) => resume(Effect.suspend(() => then({ url, status, headers, body })))
          })
          return Effect.sync(() => asked.leave())
        })
      }
      return http.execute(toPlatform(request)).pipe(
        // fetch would take the key along to wherever a redirect leads
        Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }),
        Effect.flatMap((response) =>
          Effect.map(response.arrayBuffer, (body): Answer => ({
            url,
            status: response.status,
            headers: response.headers,
            body: new Uint8Array(body)
          }))
        ),
        Effect.mapError((error) =>
          error._tag === "RequestError" && error.reason === "InvalidUrl"
            ? lost(url, about, "InvalidUrl")
            : unanswered(url, about, error.cause)
        ),
        Effect.timeoutFail({ duration: limit, onTimeout: () => lost(url, about, "Timeout") }),
        Effect.locallyWith(Headers.currentRedactedNames, (names) => [...names, ...secretNames]),
        Effect.flatMap(then)
      )
    }

    const noteDeprecation = (method: string, answer: Answer) => {
      const note = answer.headers["x-deprecation-note"]
      if (note === undefined || deprecations.has(note) || deprecations.size >= 100) return Effect.void
      deprecations.add(note)
      const line = `${method}: ${note}`
      return answer.headers["x-deprecation-level"] === "error" ? Effect.logError(line) : Effect.logWarning(line)
    }

    /** A success or a redirect as it is, the error that anything else stands for. */
    const judge = (answer: Answer, about: About, key: Redacted.Redacted | undefined) => {
      const judged = answer.status >= 200 && answer.status < 400 ? succeeded(answer) : refuse(answer, about, key)
      return "x-deprecation-note" in answer.headers
        ? Effect.zipRight(noteDeprecation(about.method, answer), judged)
        : judged
    }

    const noteSuccess = () => {
      if (edgeRejections > 0) edgeRejections--
    }

    const succeeded = (answer: Answer) => {
      noteSuccess()
      return Effect.succeed(answer)
    }

    const refuse = Effect.fnUntraced(function* (answer: Answer, about: About, key: Redacted.Redacted | undefined) {
      if (answer.status === 400 && answer.body.length === 0 && edgeRejections < maxEdgeRejections) {
        // an edge proxy's rejection, not the service's
        edgeRejections++
        return yield* lost(answer.url, about, "Connection")
      }
      const body = text.decode(answer.body)
      return yield* TinkerError.fromResponse({
        ...about,
        status: answer.status,
        headers: answer.headers,
        body: key === undefined ? body : body.replaceAll(Redacted.value(key), "<redacted>"),
        now: yield* Clock.currentTimeMillis
      })
    })

    /** The request as it leaves, with what each attempt adds. */
    const outgoing = (sending: Sending, key: Redacted.Redacted | undefined): Outgoing => {
      const { body, common, headers, method, origin, path } = sending.request
      const retries = String(sending.attempts++)
      return {
        method,
        origin,
        path,
        headers:
          key === undefined
            ? [...common, ...headers, "x-stainless-retry-count", retries]
            : [...common, ...headers, "x-stainless-retry-count", retries, "x-api-key", Redacted.value(key)],
        body
      }
    }

    /** What an answer comes to that a token was sent for: where it is rejected, the request is sent with another. */
    const judgeToken = (sending: Sending, key: Redacted.Redacted, answer: Answer) =>
      isRejectedToken(answer)
        ? Effect.flatMap(tokens.replace(key), (other) =>
            Redacted.value(other) === Redacted.value(key)
              ? judge(answer, sending.about, key)
              : attemptWith(sending, other)
          )
        : judge(answer, sending.about, key)

    const attemptWith = (
      sending: Sending,
      key: Redacted.Redacted | undefined,
      then = (answer: Answer) => judge(answer, sending.about, key)
    ) => exchange(outgoing(sending, key), sending.about, sending.policy, then)

    /** One attempt, and another where the service rejects the token. */
    const attempt = (sending: Sending): Effect.Effect<Answer, TinkerError.TinkerError> => {
      const { credential } = sending
      if (credential === "given") return attemptWith(sending, undefined)
      if (credential === "plain") return Effect.flatMap(tokens.plain, (key) => attemptWith(sending, key))
      if (credential !== "current") return attemptWith(sending, credential)
      return Effect.flatMap(tokens.current(), (key) =>
        attemptWith(sending, key, (answer) => judgeToken(sending, key, answer))
      )
    }

    const tell = (sending: Sending, error: TinkerError.TinkerError) =>
      background.has(sending.endpoint)
        ? Effect.void
        : telemetry.event(
            "InternalClientHolder.execute_with_retries.exception",
            { func: sending.about.method, attempt_count: sending.attempts, ...Telemetry.describe(error) },
            error.category === "user" ? "WARNING" : "ERROR"
          )

    const again = (sending: Sending, error: TinkerError.TinkerError) => {
      sending.onRetry?.(error)
      return Effect.logDebug(
        `${sending.about.method} is tried again (attempt ${sending.attempts} failed): ${error.message}`
      )
    }

    const pause = (
      sending: Sending,
      error: TinkerError.PaymentRequired
    ): Effect.Effect<Answer, TinkerError.TinkerError> =>
      Effect.flatMap(billing.mayPause(error), (may) =>
        may
          ? again(sending, error).pipe(
              Effect.zipRight(Effect.sleep(error.retryAfter ?? billingDelay)),
              Effect.zipRight(Effect.suspend(() => send(sending)))
            )
          : Effect.fail(error)
      )

    /** Attempts until there is a success, under a policy; the first may have been made already. */
    const send = (sending: Sending, first = attempt(sending)): Effect.Effect<Answer, TinkerError.TinkerError> => {
      const { span } = sending
      // the short way has no span of its own
      const once = short === undefined && span !== undefined ? under(span, first) : first
      return Effect.catchAll(once, (error) => {
        const slow = persist(sending, error)
        return span === undefined ? slow : under(span, slow)
      })
    }

    const under = <A, E>(span: Tracer.AnySpan, self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.withParentSpan(self, span)

    /** What a policy says of a failure. */
    const persist = (sending: Sending, first: TinkerError.TinkerError) => {
      const { policy } = sending
      // most requests succeed at once, and need nothing of this
      let failure: TinkerError.TinkerError | undefined = first
      return Effect.suspend(() => {
        const known = failure
        failure = undefined
        return known === undefined ? attempt(sending) : Effect.fail(known)
      }).pipe(
        Effect.tapError((error) => tell(sending, error)),
        RetryPolicy.apply(policy, (error) => again(sending, error)),
        Effect.catchTag("PaymentRequired", (error) =>
          policy.billingPause && error.shouldRetry !== false ? pause(sending, error) : Effect.fail(error)
        )
      )
    }

    const build = (
      of: HttpApiEndpoint.HttpApiEndpoint.Any,
      payload: unknown,
      options: CallOptions & Params<HttpApiEndpoint.HttpApiEndpoint.Any>,
      policy: RetryPolicy.RetryPolicy
    ): Either.Either<Prepared, TinkerError.InvalidInput> => {
      const endpoint = of as unknown as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps
      const method = options.method ?? endpoint.name
      const { encode, query } = codec.of(of)
      const path = codec.path(method, endpoint.path, options.path as never)
      if (Either.isLeft(path)) return Either.left(path.left)
      const search = query(options.urlParams)
      if (Either.isLeft(search)) return Either.left(codec.invalid(method, search.left))
      const headers = [
        "accept",
        options.protobuf === undefined ? "application/json" : `${ProtobufCodec.contentType}, application/json`,
        "x-stainless-read-timeout",
        String(millis(policy.timeout) / 1000)
      ]
      if (endpoint.method !== "GET") headers.push("x-idempotency-key", `effect-tinker-${identity}-${++calls}`)
      if (!background.has(endpoint.name)) {
        headers.push("x-sdk-method", `${owners[endpoint.name] ?? "RestClient"}.${method}`)
      }
      let common = always
      for (const given in options.headers) {
        const name = given.toLowerCase()
        if (commonNames.has(name)) common = without(common, name)
        const at = indexOf(headers, name)
        if (at < 0) headers.push(name, options.headers[given]!)
        else headers[at + 1] = options.headers[given]!
      }
      let body: Outgoing["body"]
      if (options.body !== undefined) {
        body = options.body.bytes
        headers.push("content-type", options.body.contentType)
        if (options.body.compress === true) headers.push("content-encoding", Zstd.contentEncoding)
      } else {
        const json = encode(payload)
        if (Either.isLeft(json)) return Either.left(codec.invalid(method, json.left))
        body = json.right
        if (body !== undefined) headers.push("content-type", "application/json")
      }
      return Either.right({
        method: endpoint.method,
        origin: base.origin,
        path: `${basePath}${path.right}${search.right}`,
        common,
        headers,
        body
      })
    }

    const aboutOf = (endpoint: HttpApiEndpoint.HttpApiEndpoint.Any, options: CallOptions) => ({
      method: options.method ?? (endpoint as unknown as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps).name,
      ...(options.requestId === undefined ? {} : { requestId: options.requestId })
    })

    const credentialOf = (endpoint: string, { headers }: CallOptions): "given" | "plain" | "current" => {
      for (const name in headers) if (name.toLowerCase() === "x-api-key") return "given"
      return withCredential.has(endpoint) ? "plain" : "current"
    }

    /** A request that is ready to be sent. */
    const prepare = (
      of: HttpApiEndpoint.HttpApiEndpoint.Any,
      payload: unknown,
      options: CallOptions & Params<never>,
      policy: RetryPolicy.RetryPolicy
    ): Either.Either<Sending, TinkerError.InvalidInput> => {
      const built = build(of, payload, options, policy)
      if (Either.isLeft(built)) return Either.left(built.left)
      const request = built.right
      const endpoint = (of as unknown as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps).name
      return Either.right({
        request,
        endpoint,
        about: aboutOf(of, options),
        policy,
        credential: credentialOf(endpoint, options),
        attempts: 0,
        onRetry: options.onRetry,
        span: options.span
      })
    }

    const sendBody = (sending: Sending, body: CallOptions["body"]) =>
      body?.compress === true
        ? Effect.flatMap(zstd.compress(body.bytes), (body) => {
            sending.request = { ...sending.request, body }
            return send(sending)
          })
        : send(sending)

    const underPolicy = <A, E>(
      { policy }: CallOptions,
      run: (policy: RetryPolicy.RetryPolicy) => Effect.Effect<A, E>
    ): Effect.Effect<A, E> =>
      policy === undefined ? Effect.flatMap(RetryPolicy.CurrentRetryPolicy, run) : Effect.suspend(() => run(policy))

    const request: Service["request"] = (of, payload, options = {}) => {
      const given = options as CallOptions & Params<never>
      return underPolicy(given, (policy) => {
        const prepared = prepare(of, payload, given, policy)
        return Either.isLeft(prepared) ? prepared.left : sendBody(prepared.right, given.body)
      })
    }

    const elsewhere = (request: Prepared): Outgoing => ({
      ...request,
      headers: [...request.common, ...request.headers]
    })

    /** Where the redirects of a GET lead; neither key nor headers go further than the service itself. */
    const follow = Effect.fnUntraced(function* (first: Answer, method: string) {
      let answer = first
      const policy = yield* RetryPolicy.CurrentRetryPolicy
      for (let hops = 0; hops < 5 && answer.status >= 300; hops++) {
        const location = answer.headers["location"]
        if (location === undefined || !URL.canParse(location, answer.url)) break
        const next = new URL(location, answer.url)
        if (next.protocol !== "https:" && next.protocol !== "http:") break
        const get = (common: Outgoing["headers"]): Prepared => ({
          method: "GET",
          origin: next.origin,
          path: `${next.pathname}${next.search}`,
          common,
          headers: ["accept", "application/json"],
          body: undefined
        })
        answer = yield* next.origin === base.origin
          ? send({
              request: get(always),
              endpoint: method,
              about: { method },
              policy,
              credential: "current",
              attempts: 0,
              onRetry: undefined,
              span: undefined
            })
          : exchange(
              elsewhere(get([...(short?.headers ?? []), "user-agent", userAgent])),
              { method },
              policy,
              (found) => judge(found, { method }, undefined)
            ).pipe(RetryPolicy.apply(policy))
      }
      return answer
    })

    const read = (
      of: HttpApiEndpoint.HttpApiEndpoint.Any,
      options: CallOptions,
      answer: Incoming
    ): Either.Either<unknown, TinkerError.DecodeError> => {
      const unreadable = (reason: string) =>
        Either.left(new TinkerError.DecodeError({ ...aboutOf(of, options), reason }))
      if (answer.status >= 300) {
        return unreadable(`status ${answer.status} to ${answer.headers["location"] ?? "an unknown place"}`)
      }
      if (ProtobufCodec.isProtobuf(answer.headers["content-type"])) {
        if (options.protobuf === undefined) return unreadable("protobuf came where JSON was asked for")
        const value = options.protobuf(answer.body)
        return Either.isRight(value)
          ? Either.right(new Decoded({ value: value.right }))
          : unreadable(value.left.message)
      }
      const value = codec.of(of).decode(text.decode(answer.body))
      return Either.isRight(value) ? Either.right(value.right) : unreadable(codec.reason(value.left))
    }

    /** What an answer holds, or what it leads to. */
    const settle = (of: HttpApiEndpoint.HttpApiEndpoint.Any, options: CallOptions, answer: Answer) =>
      (of as unknown as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps).method === "GET" && answer.status >= 300
        ? Effect.flatMap(follow(answer, aboutOf(of, options).method), (answer) => read(of, options, answer))
        : read(of, options, answer)

    /** The key of a request that can be sent at once. */
    const keyFor = (of: HttpApiEndpoint.HttpApiEndpoint.Any, options: CallOptions): Redacted.Redacted | undefined => {
      const { name } = of as unknown as HttpApiEndpoint.HttpApiEndpoint.AnyWithProps
      if (short === undefined || options.body?.compress === true || credentialOf(name, options) !== "current") {
        return undefined
      }
      const key = tokens.current()
      return Exit.isExit(key) && Exit.isSuccess(key) ? (key.value as Redacted.Redacted) : undefined
    }

    /** As `send` and `settle`, at little cost where all is well. */
    const askAtOnce = (
      of: HttpApiEndpoint.HttpApiEndpoint.Any,
      options: CallOptions,
      sending: Sending,
      key: Redacted.Redacted,
      then: QuickThen
    ): Held => {
      const otherwise = (first: Effect.Effect<Answer, TinkerError.TinkerError>) =>
        then.onElse(Effect.flatMap(send(sending, first), (answer) => settle(of, options, answer)))
      return short!.ask(outgoing(sending, key), millis(sending.policy.timeout), {
        onAnswer: (whole) => {
          // what is thrown in a callback is thrown at nobody
          try {
            if (whole.status !== 200 || "x-deprecation-note" in whole.headers) {
              return otherwise(
                Effect.suspend(() => judgeToken(sending, key, { url: urlOf(sending.request), ...whole }))
              )
            }
            noteSuccess()
            const value = read(of, options, whole)
            if (Either.isRight(value)) then.onValue(value.right)
            else then.onElse(value)
          } catch (defect) {
            then.onElse(Effect.die(defect))
          }
        },
        onNone: (cause) => otherwise(Effect.suspend(() => unanswered(urlOf(sending.request), sending.about, cause)))
      })
    }

    const call: Service["call"] = (of, payload, options = {}) => {
      const given = options as CallOptions & Params<never>
      return underPolicy(given, (policy): Effect.Effect<unknown, TinkerError.TinkerError> => {
        const prepared = prepare(of, payload, given, policy)
        if (Either.isLeft(prepared)) return prepared.left
        const sending = prepared.right
        const key = keyFor(of, given)
        return key === undefined
          ? Effect.flatMap(sendBody(sending, given.body), (answer) => settle(of, given, answer))
          : Effect.async((resume) => {
              const asked = askAtOnce(of, given, sending, key, {
                onValue: (value) => resume(Effect.succeed(value)),
                onElse: resume
              })
              return Effect.sync(() => asked.leave())
            })
      }) as never
    }

    const callQuickly: Quick = (of, payload, options, then) => {
      // first, for what cannot be sent at once is prepared by `call`
      const key = keyFor(of, options)
      if (key === undefined) return undefined
      const prepared = prepare(of, payload, options as CallOptions & Params<never>, options.policy)
      return Either.isLeft(prepared) ? undefined : askAtOnce(of, options, prepared.right, key, then)
    }

    const flagsLock = yield* Effect.makeSemaphore(1)
    const askFlags = call(TinkerApi.clientConfig, { sdk_version: version }).pipe(
      Effect.catchTag("NotFound", () => Effect.succeed({})),
      Effect.map((response) => (flags = ClientFlags.fromClientConfig(response)))
    )
    const knownFlags = <E>(ask: Effect.Effect<ClientFlags.ClientConfig, E>) =>
      Effect.suspend(() => (flags === undefined ? ask : Effect.succeed(flags)))
    const clientConfig = knownFlags(flagsLock.withPermits(1)(knownFlags(askFlags)))

    const tokens = yield* Tokens.make({
      credentials: config.credentials,
      flags: clientConfig,
      knownFlags: () => flags,
      scope,
      exchange: (credential, policy) =>
        Effect.gen(function* () {
          const method = "authToken"
          const built = yield* build(TinkerApi.authToken, {}, {}, policy)
          const answer = yield* send({
            request: built,
            endpoint: method,
            about: { method },
            policy,
            credential,
            attempts: 0,
            onRetry: undefined,
            span: undefined
          })
          const { jwt } = yield* readToken(text.decode(answer.body)).pipe(
            Effect.mapError(() => new TinkerError.DecodeError({ method, reason: "jwt: is missing" }))
          )
          return jwt
        })
    })

    const telemetry: Telemetry.Telemetry = config.telemetry
      ? yield* Telemetry.make((batch) =>
          Effect.asVoid(call(TinkerApi.sendTelemetry, batch, { policy: telemetryPolicy }))
        )
      : Telemetry.disabled

    return {
      ...(short === undefined ? {} : { [quick]: callQuickly }),
      config,
      clientConfig,
      claims: Effect.map(Effect.suspend(tokens.current), (token) => jwt.claims(Redacted.value(token))),
      telemetry,
      call,
      request
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
