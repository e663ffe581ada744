/** Reads request bodies within limits, checks their content type, decompresses them, and decodes JSON. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as HttpApiError from "@effect/platform/HttpApiError"
import * as HttpMethod from "@effect/platform/HttpMethod"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as currentUser from "../auth/currentUser.ts"
import type { ApiError } from "./apiErrors.ts"
import { CurrentLease } from "./body/budget.ts"
import type { ParseJson } from "./body/largeJson.ts"
import * as fields from "./body/fields.ts"
import * as bodyLimits from "./body/limits.ts"
import { type BodyFailure, readBody } from "./body/reader.ts"
import * as mediaType from "./mediaType.ts"
import * as serverRequest from "./serverRequest.ts"
import * as signedPaths from "./signedPaths.ts"

type Request = HttpServerRequest.HttpServerRequest

/** Only forward and forward_backward take protobuf. */
const takesProtobuf = (url: string): boolean => url.split("?")[0]!.endsWith("/forward_backward")

const untyped = "the body has no content-type: send application/json"

/** Whether a request has a body, of known or unknown length. */
const hasContent = ({ headers }: Request): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0

/** Whether the header names exactly a type that the endpoint takes, and UTF-8 if it names a charset. */
const isSupported = (header: string, url: string): boolean => {
  const media = mediaType.parse(header)
  if (media === undefined) return false
  const charset = media.parameters.get("charset")?.toLowerCase() ?? "utf-8"
  if (charset !== "utf-8" && charset !== "us-ascii") return false
  return media.type === "application/json" || (media.type === ProtobufCodec.contentType && takesProtobuf(url))
}

/** Whether a body that `normalize` has passed is protobuf. @internal */
export const isProtobuf = ({ headers }: Request): boolean =>
  mediaType.typeOf(headers["content-type"]) === ProtobufCodec.contentType

/** Why a body has the wrong type or encoding. */
const unsupportedMediaType = (request: Request): string | undefined => {
  const { headers, method, url } = request
  if (!HttpMethod.hasBody(method) || signedPaths.isUpload(request)) return undefined
  const encoding = headers["content-encoding"] ?? "identity"
  if (encoding !== "identity" && encoding !== Zstd.contentEncoding) {
    return `content-encoding ${encoding} is not supported: send zstd or no encoding`
  }
  const type = headers["content-type"]
  // web pages may send a body without a type, or with the type of a form or of text, to any service
  if (type === undefined) return hasContent(request) ? untyped : undefined
  return isSupported(type, url) ? undefined : `content-type ${type} is not supported: send application/json`
}

const tooLarge = (what: string, limit: number): ApiError => ({
  status: 413,
  detail: `${what} is larger than ${limit} bytes`
})

/** The service holds as many bodies as it has memory for. @internal */
export const noRoom: ApiError = {
  status: 503,
  detail: "the service has no memory for the body at the moment: try again",
  tag: "UnavailableResponse"
}

const toApiError = (failure: BodyFailure, what: string, limit: number): ApiError => {
  switch (failure) {
    case "TooLarge":
      return tooLarge(what, limit)
    case "NoRoom":
      return noRoom
    case "Incomplete":
      return { status: 422, detail: "the body was not received completely" }
  }
}

/** What a body expands to counts as its bytes do. */
const decompress = (zstd: Zstd.Service, bytes: Uint8Array, limit: number): Effect.Effect<Uint8Array, ApiError> =>
  zstd.decompress(bytes, limit).pipe(
    Effect.mapError(({ message, reason }) => ({ status: reason === "TooLarge" ? 413 : 422, detail: message })),
    Effect.tap((expanded) =>
      Effect.flatMap(Effect.all([CurrentLease, currentUser.CurrentUser]), ([lease, { id }]) =>
        lease.add(id, expanded.length) ? Effect.void : Effect.fail(noRoom)
      )
    )
  )

/** Reads the body up to its limit, and decompresses it. */
const readContent = (
  zstd: Zstd.Service,
  request: Request,
  limits: bodyLimits.BodyLimits
): Effect.Effect<Uint8Array, ApiError> => {
  const limit = bodyLimits.limitOf(limits, request.url, isProtobuf(request))
  const isCompressed = request.headers["content-encoding"] === Zstd.contentEncoding
  const received = isCompressed ? Math.min(limits.compressed, limit) : limit
  return readBody(request, received).pipe(
    Effect.mapError((failure) => toApiError(failure, isCompressed ? "the compressed body" : "the body", received)),
    Effect.flatMap((bytes) =>
      isCompressed ? decompress(zstd, bytes, Math.min(limits.decompressed, limit)) : Effect.succeed(bytes)
    )
  )
}

/** How bodies are read. @internal */
export interface BodyOptions {
  readonly zstd: Zstd.Service
  readonly limits: bodyLimits.BodyLimits
  readonly parseJson: ParseJson
}

/**
 * A request whose body is in memory, of a supported type, within its limit, and not compressed. Fails with 415, 413 or
 * 422. Uploads stay streams.
 *
 * @internal
 */
export const normalize = (
  { limits, parseJson, zstd }: BodyOptions,
  request: Request
): Effect.Effect<Request, ApiError> => {
  const reason = unsupportedMediaType(request)
  if (reason !== undefined) return Effect.fail({ status: 415, detail: reason })
  if (!HttpMethod.hasBody(request.method) || signedPaths.isUpload(request)) return Effect.succeed(request)
  return Effect.flatMap(readContent(zstd, request, limits), (bytes) =>
    bytes.length > 0 && request.headers["content-type"] === undefined
      ? Effect.fail({ status: 415, detail: untyped })
      : Effect.succeed(serverRequest.withBody(request, bytes, parseJson))
  )
}

/** The JSON of a body, whether or not its fields are within their bounds. @internal */
export const uncheckedJson = ({ parseJson }: BodyOptions, request: Request): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(request.arrayBuffer, (buffer) => parseJson(new Uint8Array(buffer)))

/** Fails a body, which is no JSON, if one of its fields is not within its bounds; as a defect, like `decodeJson`. @internal */
export const checkFields = <A>(decoded: A): Effect.Effect<A> => Effect.sync(() => fields.check(decoded))

/**
 * Decodes a JSON body with the schema that its fields select. As with the bodies that `HttpApi` decodes, a failure is a
 * defect, which `apiErrors.fromCause` turns into a 422.
 *
 * @internal
 */
export const decodeJson = <A, I>(request: Request, schemaOf: (body: object) => Schema.Schema<A, I>): Effect.Effect<A> =>
  request.json.pipe(
    Effect.flatMap((body) => {
      const fields = typeof body === "object" && body !== null ? body : {}
      return Schema.decodeUnknown(schemaOf(fields))(body)
    }),
    Effect.catchTag("ParseError", HttpApiError.HttpApiDecodeError.refailParseError),
    Effect.orDie
  )
