/** Reads bodies and streams into memory. */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { BodyProblem } from "./httpErrors.ts"

/** The bytes of all chunks, copied once. @internal */
export const concatBytes = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    out.set(chunk, offset)
    offset += chunk.length
  }
  return out
}

/** All bytes of a stream. @internal */
export const collectBytes = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<Uint8Array, E> =>
  Effect.map(Stream.runCollect(stream), (chunks) => concatBytes(Array.from(chunks)))

/** The bytes of a request's or a response's body. @internal */
export const bodyBytes = (
  body: HttpClientRequest.HttpClientRequest["body"]
): Effect.Effect<Uint8Array, BodyProblem> => {
  switch (body._tag) {
    case "Empty":
      return Effect.succeed(new Uint8Array(0))
    case "Uint8Array":
      return Effect.succeed(body.body)
    case "Stream":
      return Effect.mapError(collectBytes(body.stream), (cause) => ({ cause }))
    case "Raw":
      return typeof body.body === "string"
        ? Effect.sync(() => new TextEncoder().encode(body.body as string))
        : body.body instanceof Uint8Array
          ? Effect.succeed(body.body)
          : Effect.fail({ description: "a raw body must be text or bytes" })
    case "FormData":
      return Effect.fail({ description: "form data is not supported" })
  }
}
