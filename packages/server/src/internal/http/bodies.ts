import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as HttpApiError from "@effect/platform/HttpApiError"
import * as HttpMethod from "@effect/platform/HttpMethod"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as apiErrors from "./apiErrors.ts"
import * as messages from "./messages.ts"
import * as uploads from "../checkpoints/uploads.ts"

type Request = HttpServerRequest.HttpServerRequest

const isJson = (type: string): boolean => type.toLowerCase().includes("application/json")

/** Why a body is not read at all: bodies are JSON, and those of passes may be protobuf. */
const unsupported = (request: Request): string | undefined => {
  const { headers, method, url } = request
  if (!HttpMethod.hasBody(method) || uploads.isUpload(request)) return undefined
  const encoding = headers["content-encoding"] ?? "identity"
  if (encoding !== "identity" && encoding !== Zstd.contentEncoding) {
    return `content-encoding ${encoding} is not supported: send zstd, or no other`
  }
  const type = headers["content-type"] ?? "application/json"
  return isJson(type) || (ProtobufCodec.isProtobuf(type) && url.split("?")[0]!.endsWith("/forward_backward"))
    ? undefined
    : `content-type ${type} is not supported: send application/json`
}

/** The request with a body that is not compressed, or why it is not taken. @internal */
export const plain = (
  zstd: Zstd.Service,
  request: Request,
  limits: { readonly compressed: number; readonly decompressed: number }
): Effect.Effect<Request, apiErrors.Answer> => {
  const reason = unsupported(request)
  if (reason !== undefined) return Effect.fail({ status: 415, detail: reason })
  if (!HttpMethod.hasBody(request.method) || request.headers["content-encoding"] !== Zstd.contentEncoding) {
    return Effect.succeed(request)
  }
  return request.arrayBuffer.pipe(
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
    Effect.map((bytes) => messages.withBody(request, bytes))
  )
}

/** What cannot be read is a defect, as it is for all other bodies: see `apiErrors.fromCause`. @internal */
export const read = <A, I>(request: Request, schemaOf: (body: object) => Schema.Schema<A, I>): Effect.Effect<A> =>
  request.json.pipe(
    Effect.flatMap((body) => {
      const fields = typeof body === "object" && body !== null ? body : {}
      return Schema.decodeUnknown(schemaOf(fields))(body)
    }),
    Effect.catchTag("ParseError", HttpApiError.HttpApiDecodeError.refailParseError),
    Effect.orDie
  )
