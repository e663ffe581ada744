/** Reads the body of an HttpClientResponse into memory, up to a limit that counts after decompression. */
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** A response has more bytes than its reader accepts. @internal */
export class BodyTooLarge extends Data.TaggedError("BodyTooLarge")<{ readonly limit: number }> {}

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** Whether the response announces a length that is that of its content, and within the limit. */
const isKnownToFit = ({ headers }: HttpClientResponse.HttpClientResponse, limit: number): boolean =>
  headers["content-encoding"] === undefined && Number(headers["content-length"] ?? Number.NaN) <= limit

const readStream = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<Uint8Array, HttpClientError.HttpClientError | BodyTooLarge> => {
  let received = 0
  const chunks: Array<Uint8Array> = []
  return response.stream.pipe(
    Stream.runForEach((chunk) => {
      received += chunk.length
      if (received > limit) return new BodyTooLarge({ limit })
      chunks.push(chunk)
      return Effect.void
    }),
    // a response of fetch without a body has no stream
    Effect.catchIf(
      (error) => error._tag === "ResponseError" && error.reason === "EmptyBody",
      () => Effect.void
    ),
    Effect.map(() => concat(chunks))
  )
}

/** The body of a response. The rest of one that is larger is not read. @internal */
export const readBounded = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<Uint8Array, HttpClientError.HttpClientError | BodyTooLarge> =>
  isKnownToFit(response, limit)
    ? Effect.map(response.arrayBuffer, (body) => new Uint8Array(body))
    : readStream(response, limit)
