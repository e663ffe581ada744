/** Dispatches one request to undici, as an Effect. */
import * as Headers from "@effect/platform/Headers"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as Effect from "effect/Effect"
import type * as Undici from "undici"
import { requestError } from "../../effect/httpErrors.ts"
import { decoderFor } from "./decoders.ts"
import type { HeaderRecord, Hop } from "./hop.ts"
import { abortError, IncomingBody } from "./incomingBody.ts"
import { UndiciResponse } from "./response.ts"

// a response up to this size is buffered before it is returned
const bufferedBytes = 64 * 1024
// how much of a larger body may wait for its reader
const maxUnreadBytes = 256 * 1024

/** Collects a response: all of a small one, the head of a large one, whose body is read later. */
class ResponseHandler implements Undici.Dispatcher.DispatchHandler {
  readonly #hop: Hop
  readonly #incoming = new IncomingBody()
  #resume: ((exit: Effect.Effect<UndiciResponse, HttpClientError.RequestError>) => void) | undefined
  // an interruption may come before there is a connection
  #cancelled = false
  // cleared once the caller has it: a reference from the body would keep the response from being garbage-collected
  #response: UndiciResponse | undefined = undefined

  constructor(hop: Hop, resume: (exit: Effect.Effect<UndiciResponse, HttpClientError.RequestError>) => void) {
    this.#hop = hop
    this.#resume = resume
  }

  cancel() {
    this.#cancelled = true
    this.#incoming.abort(abortError())
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController) {
    this.#incoming.controller = controller
    if (this.#cancelled) controller.abort(abortError())
  }

  onResponseStart(_: unknown, status: number, received: Record<string, string | Array<string> | undefined>) {
    // an interim response
    if (status < 200) return
    const { method, request } = this.#hop
    const { headers, setCookies } = readHeaders(received)
    const encoding = headers["content-encoding"]
    const isEncoded = decoderFor(encoding) !== undefined && method !== "HEAD"
    const length = Number(headers["content-length"] ?? Number.NaN)
    if (isEncoded) {
      delete headers["content-encoding"]
      delete headers["content-length"]
    }
    this.#response = new UndiciResponse(
      request,
      status,
      Headers.unsafeFromRecord(headers),
      setCookies,
      this.#incoming,
      isEncoded ? encoding : undefined
    )
    if (!(length <= bufferedBytes)) this.#give()
  }

  onResponseData(controller: Undici.Dispatcher.DispatchController, chunk: Uint8Array) {
    this.#incoming.push(chunk)
    if (this.#incoming.reader === undefined && this.#incoming.unread > maxUnreadBytes) controller.pause()
  }

  onResponseEnd() {
    this.#incoming.end()
    this.#give()
  }

  onResponseError(_: unknown, cause: unknown) {
    const resume = this.#resume
    this.#resume = undefined
    if (resume === undefined) return this.#incoming.fail(cause)
    queueMicrotask(() => resume(requestError(this.#hop.request, "Transport", { cause })))
  }

  #give() {
    const resume = this.#resume
    if (resume === undefined) return
    this.#resume = undefined
    const response = this.#response!
    this.#response = undefined
    this.#incoming.abortWith(response)
    // not inside undici's parser, which has not finished yet
    queueMicrotask(() => resume(Effect.succeed(response)))
  }
}

const readHeaders = (received: Record<string, string | Array<string> | undefined>) => {
  const headers: HeaderRecord = {}
  let setCookies: ReadonlyArray<string> = []
  for (const name in received) {
    const value = received[name]
    if (value === undefined) continue
    if (name === "set-cookie") setCookies = Array.isArray(value) ? value : [value]
    headers[name] = typeof value === "string" ? value : value.join(", ")
  }
  return { headers, setCookies }
}

/** One request and its response, which may be a redirect. @internal */
export const dispatch = (
  dispatcher: Undici.Dispatcher,
  hop: Hop,
  timeoutMillis: number
): Effect.Effect<UndiciResponse, HttpClientError.RequestError> =>
  Effect.async((resume) => {
    const handler = new ResponseHandler(hop, resume)
    dispatcher.dispatch(
      {
        origin: hop.url.origin,
        path: `${hop.url.pathname}${hop.url.search}`,
        method: hop.method as "GET",
        headers: hop.headers,
        body: hop.body ?? null,
        headersTimeout: timeoutMillis,
        bodyTimeout: timeoutMillis
      },
      handler
    )
    return Effect.sync(() => handler.cancel())
  })
