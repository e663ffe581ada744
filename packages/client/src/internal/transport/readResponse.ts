/** Decodes the body of a response by its endpoint's schema, or as protobuf where the caller accepts that. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Either from "effect/Either"
import * as codec from "../codec/endpoint.ts"
import { type CallOptions, Decoded } from "./callOptions.ts"
import type { Endpoint } from "../codec/endpointTraits.ts"
import type { BufferedResponse } from "./exchange.ts"
import { subjectOf } from "./request.ts"

const text = new TextDecoder()

/** @internal */
export const decodeText = (bytes: Uint8Array): string => text.decode(bytes)

/** @internal */
export const readResponse = (
  endpoint: Endpoint,
  options: CallOptions,
  response: BufferedResponse
): Either.Either<unknown, TinkerError.DecodeError> => {
  const unreadable = (reason: string) =>
    Either.left(new TinkerError.DecodeError({ ...subjectOf(endpoint, options), reason }))
  if (response.status >= 300) {
    return unreadable(`status ${response.status} to ${response.headers["location"] ?? "an unknown location"}`)
  }
  if (ProtobufCodec.isProtobuf(response.headers["content-type"])) {
    if (options.protobuf === undefined) return unreadable("the response is protobuf, where JSON was requested")
    const value = options.protobuf(response.body)
    return Either.isRight(value) ? Either.right(new Decoded({ value: value.right })) : unreadable(value.left.message)
  }
  const value = codec.of(endpoint).decode(decodeText(response.body))
  return Either.isRight(value) ? Either.right(value.right) : unreadable(codec.reason(value.left))
}
