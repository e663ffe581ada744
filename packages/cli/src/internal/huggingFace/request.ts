/** The `fetch` that the library of the hub runs on: it adds the token, retries, and reports progress. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { makeRunPromise } from "../effect/runtime.ts"
import { isFinal, PauseTooLong, UnexpectedResponse } from "./failures.ts"
import { ProgressBlob } from "./progressBlob.ts"

/** @internal */
export type Fetch = typeof fetch

/** @internal */
export interface Settings {
  readonly endpoint: string
  readonly token: string
  /** Called before a pause that the hub asks for. */
  readonly onPause: (seconds: number, status: number) => Effect.Effect<void>
}

/**
 * The token as the library sees it. The library rejects tokens of organizations, and some of its errors repeat what it
 * sent; the real token replaces this one when a request is sent.
 * @internal
 */
export const placeholder = "hf_placeholder"

const maxRetries = 4
const firstDelayMillis = 500
/** The hub counts requests in windows of five minutes. */
const maxPauseSeconds = 300
const timeout = Duration.seconds(60)
const maxBodySize = 16 * 2 ** 20

/** What the library says about an upload, in a field of the options that `fetch` itself ignores. */
interface ProgressHint {
  readonly path?: string
  /** Of a file in parts: which part, and how many there are. */
  readonly part?: number
  readonly numParts?: number
  /** The same function for all parts of one file. */
  readonly progressCallback: (share: number) => void
}

/** The shares of a file's parts that were sent, by the callback that identifies the file. */
type Parts = WeakMap<ProgressHint["progressCallback"], Array<number>>

const reportShare = (parts: Parts, hint: ProgressHint, share: number): void => {
  const { numParts, part, progressCallback } = hint
  if (part === undefined || numParts === undefined) return progressCallback(share)
  const shares = parts.get(progressCallback) ?? Array.from({ length: numParts }, () => 0)
  shares[part] = share
  parts.set(progressCallback, shares)
  progressCallback(shares.reduce((sum, one) => sum + one, 0) / numParts)
}

const bodyOf = (init: RequestInit, parts: Parts): BodyInit | null => {
  const { body, progressHint: hint } = init as RequestInit & { readonly progressHint?: ProgressHint }
  if (hint === undefined || !(body instanceof Blob) || body.size === 0) return body ?? null
  return new ProgressBlob(body, (bytes) => reportShare(parts, hint, bytes / body.size))
}

/** The headers with the real token, if the request goes to the hub. Its storage must not get the token. */
const headersOf = ({ endpoint, token }: Settings, url: URL, init: RequestInit): Headers => {
  const headers = new Headers(init.headers)
  if (!headers.has("authorization")) return headers
  if (url.origin === new URL(endpoint).origin) headers.set("authorization", `Bearer ${token}`)
  else headers.delete("authorization")
  return headers
}

/** Whether the response is JSON for the library, and not the content of a file. */
const isApi = (url: URL): boolean => /\/api\/|\/info\/lfs\//.test(url.pathname)

/** Opening a pull request twice would leave two of them. */
const isRepeatable = (url: URL, method: string): boolean =>
  !(method === "POST" && url.searchParams.get("create_pr") === "1" && url.pathname.includes("/commit/"))

/** Reads a response to its end, so that a body that breaks off is retried as the request is. */
const buffer = async (response: Response): Promise<Response> => {
  const announced = Number(response.headers.get("content-length") ?? 0)
  if (announced > maxBodySize) throw new UnexpectedResponse({ reason: `A response of ${announced} bytes is too large` })
  const text = await response.text()
  if (response.ok && (response.headers.get("content-type")?.includes("html") || text.trimStart().startsWith("<"))) {
    throw new UnexpectedResponse({ reason: "The response is a web page, such as that of a proxy or a login" })
  }
  const copy = new Response([204, 205, 304].includes(response.status) ? null : text, {
    status: response.status,
    statusText: response.statusText,
    headers: response.headers
  })
  return Object.defineProperty(copy, "url", { value: response.url })
}

/** The seconds of `Retry-After`, a number or a date, or of the hub's `RateLimit: "api";r=0;t=55`. */
const pauseOf = (response: Response, now: number): number | undefined => {
  const after = response.headers.get("retry-after")
  if (after !== null) {
    const seconds = /^\d+$/.test(after.trim()) ? Number(after) : (Date.parse(after) - now) / 1000
    return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined
  }
  const reset = response.status === 429 ? /\bt=(\d+)/.exec(response.headers.get("ratelimit") ?? "") : null
  return reset === null ? undefined : Number(reset[1])
}

const retryableStatuses = [408, 429, 500, 502, 503, 504]

const attempt = (settings: Settings, fetch: Fetch, url: URL, init: RequestInit, parts: Parts) => {
  const run = Effect.tryPromise({
    try: async (signal) => {
      const headers = headersOf(settings, url, init)
      const response = await fetch(url, { ...init, headers, body: bodyOf(init, parts), signal })
      return isApi(url) ? await buffer(response) : response
    },
    catch: (cause) => cause
  })
  // an upload has no timeout; a commit may wait for the checks of the hub
  return (init.method ?? "GET") === "GET" && isApi(url) ? Effect.timeout(run, timeout) : run
}

/** The pause before another attempt, exponential with jitter. */
const backoff = (retries: number) =>
  Effect.map(Random.nextRange(0.75, 1.25), (factor) => Math.round(firstDelayMillis * 2 ** retries * factor))

/** Sends a request, and retries transient failures. */
const send = (
  settings: Settings,
  fetch: Fetch,
  url: URL,
  init: RequestInit,
  parts: Parts
): Effect.Effect<Response, unknown> => {
  const repeatable = isRepeatable(url, init.method ?? "GET")
  const loop = (retries: number): Effect.Effect<Response, unknown> =>
    Effect.matchEffect(attempt(settings, fetch, url, init, parts), {
      onFailure: (cause) =>
        repeatable && retries < maxRetries && !(cause instanceof UnexpectedResponse) && !isFinal(cause)
          ? Effect.flatMap(backoff(retries), (millis) => Effect.delay(loop(retries + 1), millis))
          : Effect.fail(cause),
      onSuccess: (response) => afterResponse(response, retries)
    })
  const afterResponse = (response: Response, retries: number): Effect.Effect<Response, unknown> =>
    Effect.gen(function* () {
      const isRetryable = retryableStatuses.includes(response.status) && (repeatable || response.status === 429)
      if (!isRetryable) return response
      const seconds = pauseOf(response, yield* Clock.currentTimeMillis)
      if (seconds !== undefined && seconds > maxPauseSeconds) return yield* new PauseTooLong({ seconds })
      if (retries >= maxRetries) return response
      yield* Effect.promise(async () => response.body?.cancel())
      if (seconds !== undefined && seconds > 1) yield* settings.onPause(seconds, response.status)
      const millis = seconds === undefined ? yield* backoff(retries) : seconds * 1000
      return yield* Effect.delay(loop(retries + 1), millis)
    })
  return loop(0)
}

/** A `fetch` for the library. @internal */
export const makeFetch = (settings: Settings, fetch: Fetch): Effect.Effect<Fetch> =>
  Effect.map(makeRunPromise, (runPromise) => {
    const parts: Parts = new WeakMap()
    return (input, init = {}) => {
      const url = new URL(input instanceof Request ? input.url : input)
      return runPromise(send(settings, fetch, url, init, parts), init.signal ?? undefined)
    }
  })
