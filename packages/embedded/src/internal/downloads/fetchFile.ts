/** Fetches one file, piece by piece, within a bound. */
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** @internal */
export const fail = (path: string, reason: string, cause?: unknown) =>
  new ModelDirectory.ModelDirectoryError({ path, reason, ...(cause === undefined ? {} : { cause }) })

const tooLarge = (url: string, most: number) =>
  fail(url, `is larger than the ${most} bytes that are left of the option maxModelBytes`)

/** The length of a body, if the response tells it: that of a compressed one is another. */
const lengthOf = ({ headers }: HttpClientResponse.HttpClientResponse): number | undefined => {
  const length = headers["content-encoding"] === undefined ? Number(headers["content-length"]) : Number.NaN
  return Number.isSafeInteger(length) ? length : undefined
}

const join = (pieces: ReadonlyArray<Uint8Array>, length: number): Uint8Array<ArrayBuffer> => {
  const joined = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}

/** Tells the bytes that are there, and the length of the file if it is known. @internal */
export type Tell = (received: number, total: number | undefined) => Effect.Effect<void>

/**
 * The content of a URL, of at most `most` bytes. An interruption ends the request.
 *
 * @internal
 */
export const fetchFile = Effect.fnUntraced(function* (url: string, most: number, tell: Tell) {
  const client = yield* HttpClient.HttpClient
  const response = yield* Effect.mapError(client.get(url), (cause) =>
    fail(url, "cannot be fetched: is there a network?", cause)
  )
  if (response.status !== 200)
    return yield* fail(url, `cannot be fetched: the answer has the status ${response.status}`)
  const total = lengthOf(response)
  if (total !== undefined && total > most) return yield* tooLarge(url, most)
  const pieces: Array<Uint8Array> = []
  let received = 0
  yield* response.stream.pipe(
    Stream.mapError((cause) => fail(url, "cannot be fetched to its end", cause)),
    Stream.runForEach((piece) => {
      received += piece.length
      pieces.push(piece)
      return received > most ? Effect.fail(tooLarge(url, most)) : tell(received, total)
    })
  )
  return join(pieces, received)
})
