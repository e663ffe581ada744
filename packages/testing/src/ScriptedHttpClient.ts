/**
 * An `HttpClient` that responds from a script and records the requests. It runs in the fiber of the caller, so that
 * `TestClock` drives delays; it opens no socket.
 *
 * ```ts
 * const scripted = yield* ScriptedHttpClient.make({
 *   "/create_session": ScriptedHttpClient.json({ session_id: "s" }),
 *   "/retrieve_future": [
 *     ScriptedHttpClient.connectionLost,
 *     ScriptedHttpClient.json({ detail: "busy" }, { status: 503 }),
 *     (request) => ScriptedHttpClient.after("20 seconds", ScriptedHttpClient.json({ type: "try_again" }))
 *   ]
 * })
 * yield* program.pipe(Effect.provide(scripted.layer))
 * const [first] = yield* scripted.requestsTo("/retrieve_future")
 * ```
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { parseBody, pathOf, readBody } from "./internal/scripted/requestBody.ts"
import { respond } from "./internal/scripted/respond.ts"
import type { DurationInput } from "./internal/util/duration.ts"

/**
 * A request that the client received.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recorded {
  readonly method: string
  /** with the query */
  readonly url: string
  /** the path below `/api/v1`, such as `/create_session`; the full path if the URL has no `/api/v1` */
  readonly path: string
  /** names in lower case */
  readonly headers: { readonly [name: string]: string | undefined }
  /** the parsed JSON, also of a request encoded as protobuf; the text if it is neither; `undefined` without a body */
  readonly body: unknown
  /** the body as text */
  readonly text: string
  readonly bytes: Uint8Array
  /** when it was sent, in milliseconds of the `Clock` */
  readonly time: number
  /** how it has ended so far */
  readonly outcome: "waiting" | "responded" | "failed" | "interrupted"
}

/**
 * What a request gets: a response, or a failure to get one.
 *
 * @since 0.1.0
 * @category models
 */
export type Reply = Response | Failure

/**
 * @since 0.1.0
 * @category models
 */
export interface Response {
  readonly _tag: "Response"
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: string | Uint8Array
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly _tag: "Failure"
  readonly reason: "Transport" | "Encode" | "InvalidUrl"
  readonly description: string
}

/**
 * A reply, an effect that succeeds with one, or a function of the request that returns either.
 *
 * @since 0.1.0
 * @category models
 */
export type Step = Reply | Effect.Effect<Reply> | ((request: Recorded) => Reply | Effect.Effect<Reply>)

/**
 * One step for all requests, or steps by path (`/create_session`). Of several steps for a path, each serves one request, and
 * the last one serves all that follow. The path `*` serves requests to all other paths; without it they get a 404 whose
 * detail is such as `no script for POST /create_session`.
 *
 * @since 0.1.0
 * @category models
 */
export type Script = Step | { readonly [path: string]: Step | ReadonlyArray<Step> }

/**
 * @since 0.1.0
 * @category models
 */
export interface ScriptedHttpClient {
  readonly client: HttpClient.HttpClient
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /** in the order in which they were sent */
  readonly requests: Effect.Effect<ReadonlyArray<Recorded>>
  readonly requestsTo: (path: string) => Effect.Effect<ReadonlyArray<Recorded>>
}

/**
 * The status of a response, 200 by default, and further headers.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResponseOptions {
  readonly status?: number | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
}

const response = (body: string | Uint8Array, contentType: string, options: ResponseOptions | undefined): Response => ({
  _tag: "Response",
  status: options?.status ?? 200,
  headers: { ...(contentType === "" ? {} : { "content-type": contentType }), ...options?.headers },
  body
})

/**
 * A response with a JSON body.
 *
 * @since 0.1.0
 * @category replies
 */
export const json = (body: unknown, options?: ResponseOptions): Reply =>
  response(JSON.stringify(body), "application/json", options)

/**
 * A response with a text body, such as the page of a proxy or broken JSON.
 *
 * @since 0.1.0
 * @category replies
 */
export const text = (body: string, options?: ResponseOptions): Reply => response(body, "text/plain", options)

/**
 * A response with a binary body.
 *
 * @since 0.1.0
 * @category replies
 */
export const bytes = (body: Uint8Array, options?: ResponseOptions): Reply =>
  response(body, "application/octet-stream", options)

/**
 * A response without a body.
 *
 * @since 0.1.0
 * @category replies
 */
export const empty = (options?: ResponseOptions): Reply => response("", "", options)

/**
 * A broken connection: the client gets a `RequestError` with reason `Transport`.
 *
 * @since 0.1.0
 * @category replies
 */
export const connectionLost: Reply = { _tag: "Failure", reason: "Transport", description: "the connection was lost" }

/**
 * No response: the request waits until it is interrupted.
 *
 * @since 0.1.0
 * @category replies
 */
export const silence: Effect.Effect<Reply> = Effect.never

/**
 * A reply after a delay of the `Clock`.
 *
 * @since 0.1.0
 * @category replies
 */
export const after = (delay: DurationInput, reply: Reply): Effect.Effect<Reply> =>
  Effect.delay(Effect.succeed(reply), delay)

const isReply = (u: object): u is Reply => "_tag" in u && (u._tag === "Response" || u._tag === "Failure")

const isStep = (script: Script): script is Step =>
  typeof script === "function" || Effect.isEffect(script) || isReply(script)

/** What a client has received so far. */
interface ScriptState {
  readonly script: Script
  readonly recorded: Array<Recorded>
  /** how many requests each path of the script has served */
  readonly served: Map<string, number>
}

/**
 * A client that follows a script.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (script: Script): Effect.Effect<ScriptedHttpClient> =>
  Effect.sync(() => {
    const state: ScriptState = { script, recorded: [], served: new Map() }
    const client = HttpClient.make((request, url) =>
      Effect.gen(function* () {
        const index = yield* record(state, request, url)
        const entry = state.recorded[index]!
        return yield* Effect.suspend(() => {
          const step = nextStep(state, entry)
          const made = typeof step === "function" ? step(entry) : step
          return Effect.isEffect(made) ? made : Effect.succeed(made)
        }).pipe(
          Effect.flatMap((reply) => respond(request, reply)),
          Effect.onExit((exit) => Effect.sync(() => recordOutcome(state, index, exit)))
        )
      })
    )
    return {
      client,
      layer: Layer.succeed(HttpClient.HttpClient, client),
      requests: Effect.sync(() => state.recorded.slice()),
      requestsTo: (path) => Effect.sync(() => state.recorded.filter((request) => request.path === path))
    }
  })

/** Records a request, and returns its index. */
const record = Effect.fnUntraced(function* (
  { recorded }: ScriptState,
  request: HttpClientRequest.HttpClientRequest,
  url: URL
) {
  const bytes = yield* readBody(request)
  const text = new TextDecoder().decode(bytes)
  const entry: Recorded = {
    method: request.method,
    url: url.href,
    path: pathOf(url),
    headers: { ...request.headers },
    body: parseBody(bytes, text, request.headers["content-type"]),
    text,
    bytes,
    time: yield* Clock.currentTimeMillis,
    outcome: "waiting"
  }
  return recorded.push(entry) - 1
})

const recordOutcome = ({ recorded }: ScriptState, index: number, exit: Exit.Exit<unknown, unknown>): void => {
  recorded[index] = {
    ...recorded[index]!,
    outcome: Exit.isSuccess(exit) ? "responded" : Cause.isInterrupted(exit.cause) ? "interrupted" : "failed"
  }
}

/** Clients do without some endpoints, and ask for them: a path that is not scripted is one that the service does not have. */
const unscripted = (method: string, path: string): Step =>
  json({ detail: `no script for ${method} ${path}: add the path to the script, or * for all others` }, { status: 404 })

const nextStep = ({ script, served }: ScriptState, { method, path }: Recorded): Step => {
  if (isStep(script)) return script
  const key = Object.hasOwn(script, path) ? path : "*"
  const steps = script[key]
  if (steps === undefined) return unscripted(method, path)
  if (!Array.isArray(steps)) return steps as Step
  const list: ReadonlyArray<Step> = steps
  const count = served.get(key) ?? 0
  served.set(key, count + 1)
  return list[Math.min(count, list.length - 1)] ?? unscripted(method, path)
}
