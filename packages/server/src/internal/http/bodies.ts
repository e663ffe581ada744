/** Checks the content type of request bodies, decompresses them, and decodes JSON. */
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as HttpApiError from "@effect/platform/HttpApiError"
import * as HttpMethod from "@effect/platform/HttpMethod"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ApiError } from "./apiErrors.ts"
import * as mediaType from "./mediaType.ts"
import * as serverRequest from "./serverRequest.ts"
import * as signedPaths from "./signedPaths.ts"

type Request = HttpServerRequest.HttpServerRequest

/** Limits on compressed bodies, in bytes. @internal */
export interface BodyLimits {
  readonly compressed: number
  readonly decompressed: number
}

/** Only forward and forward_backward take protobuf. */
const takesProtobuf = (url: string): boolean => url.split("?")[0]!.endsWith("/forward_backward")

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
  if (type === undefined) return hasContent(request) ? "the body has no content-type: send application/json" : undefined
  return isSupported(type, url) ? undefined : `content-type ${type} is not supported: send application/json`
}

/** Reads a compressed body, and replaces it with the decompressed one. */
const decompressBody = (zstd: Zstd.Service, request: Request, limits: BodyLimits): Effect.Effect<Request, ApiError> =>
  request.arrayBuffer.pipe(
    Effect.mapError(() => ({ status: 413, detail: "the compressed body cannot be read, or is too large" })),
    Effect.filterOrFail(
      (buffer) => buffer.byteLength <= limits.compressed,
      () => ({ status: 413, detail: `the compressed body is larger than ${limits.compressed} bytes` })
    ),
    Effect.flatMap((buffer) =>
      Effect.mapError(zstd.decompress(new Uint8Array(buffer), limits.decompressed), ({ message, reason }) => ({
        status: reason === "TooLarge" ? 413 : 422,
        detail: message
      }))
    ),
    Effect.map((bytes) => serverRequest.withDecompressedBody(request, bytes))
  )

/** A request whose body is of a supported type and not compressed. Fails with 415, 413 or 422. @internal */
export const normalize = (
  zstd: Zstd.Service,
  request: Request,
  limits: BodyLimits
): Effect.Effect<Request, ApiError> => {
  const reason = unsupportedMediaType(request)
  if (reason !== undefined) return Effect.fail({ status: 415, detail: reason })
  return HttpMethod.hasBody(request.method) && request.headers["content-encoding"] === Zstd.contentEncoding
    ? decompressBody(zstd, request, limits)
    : Effect.succeed(request)
}

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
