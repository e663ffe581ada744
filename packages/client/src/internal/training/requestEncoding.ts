/** Sends forward and forward/backward requests as protobuf, or as JSON to services that accept no protobuf. */
import type * as Future from "@effect-tinker/api/Future"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Ref from "effect/Ref"
import type * as TinkerClient from "../../TinkerClient.ts"

type Options = Pick<TinkerClient.CallOptions, "method" | "policy" | "onRetry" | "headers">

/** Sends one request, whatever its encoding. @internal */
export type SendRequest = (
  request: ProtobufCodec.ForwardBackwardMessage,
  options: Options
) => Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>

type Encoding = "unknown" | "protobuf" | "json"

const isEncodingRejected = (error: TinkerError.TinkerError, encoding: Encoding) =>
  error._tag === "BadRequest" && (error.status === 415 || (encoding === "unknown" && error.status !== 413))

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

/**
 * Tries protobuf first. If the service rejects it and accepts JSON, as older services do, later requests are sent as JSON.
 * The sequence number stays the same, for a rejected request was not applied.
 *
 * @internal
 */
export const make = (
  client: TinkerClient.Service,
  { compress }: { readonly compress: boolean }
): Effect.Effect<SendRequest> =>
  Effect.map(Ref.make<Encoding>("unknown"), (encoding): SendRequest => {
    const json = sendJson(client)
    const protobuf = sendProtobuf(client, compress)
    return (request, options) =>
      Effect.flatMap(Ref.get(encoding), (current) =>
        current === "json"
          ? json(request, options)
          : protobuf(request, options).pipe(
              Effect.tap(() => Ref.set(encoding, "protobuf")),
              Effect.catchIf(
                (error) => isEncodingRejected(error, current),
                (rejection) =>
                  json(request, options).pipe(
                    Effect.tap(() => Ref.set(encoding, "json")),
                    // rejected in both encodings: the request itself is at fault
                    Effect.mapError((error) => (error._tag === "BadRequest" ? rejection : error))
                  )
              )
            )
      )
  })
