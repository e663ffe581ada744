/** What a scripted client records of the body and the path of a request. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import { prefix } from "@effect-tinker/api/TinkerApi"
import * as Training from "@effect-tinker/api/Training"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type RequestError, requestError } from "../effect/httpErrors.ts"

/** The path below `/api/v1`, if the URL has that. @internal */
export const pathOf = (url: URL): string => {
  const at = url.pathname.lastIndexOf(`${prefix}/`)
  return at < 0 ? url.pathname : url.pathname.slice(at + prefix.length)
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** @internal */
export const readBody = (request: HttpClientRequest.HttpClientRequest): Effect.Effect<Uint8Array, RequestError> => {
  const { body } = request
  switch (body._tag) {
    case "Empty":
      return Effect.succeed(new Uint8Array())
    case "Uint8Array":
      return Effect.succeed(body.body)
    case "Raw":
      return Effect.succeed(encode(typeof body.body === "string" ? body.body : String(body.body)))
    case "Stream":
      return Stream.mkString(Stream.decodeText(body.stream)).pipe(
        Effect.map(encode),
        Effect.mapError((cause) => requestError({ request, reason: "Encode", cause }))
      )
    case "FormData":
      return Effect.succeed(encode(JSON.stringify(Array.from(body.formData.entries()))))
  }
}

const encodeRequest = Schema.encodeSync(Training.ForwardBackwardRequest)

/** The JSON of a body, or of the request that it encodes as protobuf; else its text. @internal */
export const parseBody = (bytes: Uint8Array, text: string, contentType: string | undefined): unknown => {
  if (text === "") return undefined
  if (ProtobufCodec.isProtobuf(contentType)) {
    const decoded = ProtobufCodec.decodeForwardBackwardRequest(bytes)
    return Either.isRight(decoded)
      ? { ...encodeRequest(decoded.right), forward_only: decoded.right.forward_only }
      : text
  }
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
