import type * as Future from "@effect-tinker/api/Future"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Ref from "effect/Ref"
import type * as TinkerClient from "../../TinkerClient.ts"

/** @internal */
export interface PassSender {
  readonly send: (
    pass: ProtobufCodec.PassRequest,
    options: Pick<TinkerClient.CallOptions, "method" | "policy" | "onRetry">
  ) => Effect.Effect<Future.FutureEnvelope, TinkerError.TinkerError>
}

type Encoding = "unknown" | "protobuf" | "json"

const refusesEncoding = (error: TinkerError.TinkerError, encoding: Encoding) =>
  error._tag === "BadRequest" && (error.status === 415 || (encoding === "unknown" && error.status !== 413))

/**
 * Sends passes as protobuf. A service that takes none of it, as older ones do, gets JSON from then on; the same number
 * is used again, for a refused pass was not applied.
 *
 * @internal
 */
export const make = (
  client: TinkerClient.Service,
  { compress }: { readonly compress: boolean }
): Effect.Effect<PassSender> =>
  Effect.map(Ref.make<Encoding>("unknown"), (encoding) => {
    const sendJson: PassSender["send"] = ({ forward_only, ...request }, options) => {
      const { forward_backward_input, ...rest } = request
      return forward_only === true
        ? client.call(TinkerApi.forward, { forward_input: forward_backward_input, ...rest }, options)
        : client.call(TinkerApi.forwardBackward, request, options)
    }

    const sendProtobuf: PassSender["send"] = (pass, options) =>
      Effect.suspend(() => {
        const encoded = ProtobufCodec.encodeForwardBackwardRequest(pass)
        return Either.isRight(encoded)
          ? client.call(TinkerApi.forwardBackward, pass, {
              ...options,
              body: { contentType: ProtobufCodec.contentType, bytes: encoded.right, compress }
            })
          : new TinkerError.InvalidInput({
              method: options.method ?? "forwardBackward",
              path: encoded.left.path,
              reason: encoded.left.reason
            })
      })

    return {
      send: (pass, options) =>
        Effect.flatMap(Ref.get(encoding), (current) =>
          current === "json"
            ? sendJson(pass, options)
            : sendProtobuf(pass, options).pipe(
                Effect.zipLeft(Ref.set(encoding, "protobuf")),
                Effect.catchIf(
                  (error) => refusesEncoding(error, current),
                  (refusal) =>
                    sendJson(pass, options).pipe(
                      Effect.zipLeft(Ref.set(encoding, "json")),
                      // refused in either form: it is the pass that is wrong
                      Effect.mapError((error) => (error._tag === "BadRequest" ? refusal : error))
                    )
                )
              )
        )
    }
  })
