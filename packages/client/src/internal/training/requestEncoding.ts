/** Sends forward and forward/backward requests as protobuf, or as JSON to services that accept no protobuf. */
import type * as Future from "@effect-tinker/api/Future"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as RetryPolicy from "../../RetryPolicy.ts"
import type * as TinkerClient from "../../TinkerClient.ts"

type Options = Pick<TinkerClient.CallOptions, "method" | "onRetry" | "queue" | "headers"> & {
  readonly policy: RetryPolicy.RetryPolicy
}

/** Sends one request, whatever its encoding. @internal */
export type SendRequest = (
  request: ProtobufCodec.ForwardBackwardMessage,
  options: Options
) => Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>

/** What is known of a service; shared by all its training clients. */
interface Service {
  encoding: "unknown" | "protobuf" | "json"
}

const services = new WeakMap<TinkerClient.Service, Service>()

const serviceOf = (client: TinkerClient.Service): Service => {
  let service = services.get(client)
  if (service === undefined) {
    const { encoding } = client.config
    service = { encoding: encoding === "auto" ? "unknown" : encoding }
    services.set(client, service)
  }
  return service
}

/** Some services crash on a body that is not JSON. */
const isCrash = (error: TinkerError.TinkerError): boolean => error._tag === "ServerError" && error.status === 500

const isRejected = (error: TinkerError.TinkerError): boolean => error._tag === "BadRequest" && error.status !== 413

/** The policy, except that a 500 is not retried. */
const withoutCrashes = (policy: RetryPolicy.RetryPolicy): RetryPolicy.RetryPolicy => ({
  ...policy,
  isRetryable: (error) => !isCrash(error) && (policy.isRetryable?.(error) ?? error.isRetryable)
})

const sendJson =
  (client: TinkerClient.Service): SendRequest =>
  ({ forward_only, ...request }, options) => {
    const { forward_backward_input, ...rest } = request
    return forward_only === true
      ? client.call(TinkerApi.forward, { forward_input: forward_backward_input, ...rest }, options)
      : client.call(TinkerApi.forwardBackward, request, options)
  }

const sendProtobuf =
  (client: TinkerClient.Service, compress: boolean): SendRequest =>
  (request, options) =>
    Effect.suspend(() => {
      const encoded = ProtobufCodec.encodeForwardBackwardRequest(request)
      if (Either.isLeft(encoded)) {
        const { path, reason } = encoded.left
        return new TinkerError.InvalidInput({ method: options.method ?? "forwardBackward", path, reason })
      }
      return client.call(TinkerApi.forwardBackward, request, {
        ...options,
        body: { contentType: ProtobufCodec.contentType, bytes: encoded.right, compress }
      })
    })

/** Tries protobuf, and then JSON if the service rejects protobuf or crashes on it. */
const probe = (service: Service, protobuf: SendRequest, json: SendRequest): SendRequest => {
  const found = (encoding: "protobuf" | "json") => Effect.sync(() => void (service.encoding = encoding))
  return (request, options) => {
    const rejected = (rejection: TinkerError.TinkerError) =>
      json(request, options).pipe(
        Effect.tap(() => found("json")),
        // rejected in both encodings: the request itself is at fault
        Effect.mapError((error) => (error._tag === "BadRequest" ? rejection : error))
      )
    const crashed = json(request, { ...options, policy: { ...options.policy, ...RetryPolicy.never } }).pipe(
      Effect.tap(() => found("json")),
      Effect.catchAll((error) =>
        isRejected(error) && error._tag === "BadRequest" && error.status !== 415
          ? // it has read the request
            Effect.andThen(found("json"), Effect.fail(error))
          : // the service is in trouble, whatever the encoding
            protobuf(request, options)
      )
    )
    return protobuf(request, { ...options, policy: withoutCrashes(options.policy) }).pipe(
      Effect.tap(() => found("protobuf")),
      Effect.catchAll((error) => (isCrash(error) ? crashed : isRejected(error) ? rejected(error) : Effect.fail(error)))
    )
  }
}

/**
 * Tries protobuf first. If the service rejects it (or responds with a 500, as some do to bytes) and accepts JSON, later
 * requests are sent as JSON. The sequence number stays the same, for a rejected request was not applied, and the service
 * recognizes one that was. `TinkerConfig.encoding` forces an encoding.
 *
 * @internal
 */
export const make = (client: TinkerClient.Service, { compress }: { readonly compress: boolean }): SendRequest => {
  const service = serviceOf(client)
  const json = sendJson(client)
  const protobuf = sendProtobuf(client, compress)
  const unknown = probe(service, protobuf, json)
  return (request, options) =>
    Effect.suspend(() => {
      if (service.encoding === "json") return json(request, options)
      if (service.encoding === "unknown") return unknown(request, options)
      return client.config.encoding === "protobuf"
        ? protobuf(request, options)
        : Effect.catchIf(
            protobuf(request, options),
            (error) => error._tag === "BadRequest" && error.status === 415,
            () => unknown(request, options)
          )
    })
}
