/** Reads the body of a request into memory, up to a limit that is enforced while the bytes arrive. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { collectBytes } from "../byteStreams.ts"
import { bytesInMemory } from "../message.ts"

type Request = HttpServerRequest.HttpServerRequest

/** Why a body was not read: it is larger than the limit, did not arrive completely, or there is no memory. @internal */
export type BodyFailure = "TooLarge" | "Incomplete" | "NoRoom"

/** Reads a body of at most `limit` bytes. The rest of a larger one is discarded. @internal */
export type ReadBody = (request: Request, limit: number) => Effect.Effect<Uint8Array, BodyFailure>

const incomplete: BodyFailure = "Incomplete"

const tooLarge: BodyFailure = "TooLarge"

/** Reads the stream of any platform's request, unless its body is in memory already. */
const readStream: ReadBody = (request, limit) => {
  const bytes = bytesInMemory(request)
  if (bytes !== undefined) return bytes.length > limit ? Effect.fail(tooLarge) : Effect.succeed(bytes)
  let received = 0
  return request.stream.pipe(
    Stream.mapError(() => incomplete),
    Stream.tap(({ length }) => {
      received += length
      return received > limit ? Effect.fail(tooLarge) : Effect.void
    }),
    collectBytes
  )
}

/** How bodies are read. A server replaces it if its platform needs another reader. @internal */
export class BodyReader extends Context.Reference<BodyReader>()("@effect-tinker/server/internal/BodyReader", {
  defaultValue: (): ReadBody => readStream
}) {}

/** Reads a body with the server's reader. @internal */
export const readBody: ReadBody = (request, limit) => Effect.flatMap(BodyReader, (read) => read(request, limit))
