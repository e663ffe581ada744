/**
 * An `HttpClient` that answers from a script and records what it was asked. It runs in the caller's fiber, so that
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
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Training from "@effect-tinker/api/Training"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/**
 * A request that arrived.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recorded {
  readonly method: string
  /** with the query */
  readonly url: string
  /** below `/api/v1` where the URL has that, such as `/create_session`; else the URL's whole path */
  readonly path: string
  /** names in lower case */
  readonly headers: { readonly [name: string]: string | undefined }
  /** the parsed JSON, which a protobuf pass is shown as too; `undefined` without a body; else the text */
  readonly body: unknown
  /** the body's bytes as text */
  readonly text: string
  readonly bytes: Uint8Array
  /** when it arrived: milliseconds of the `Clock` */
  readonly time: number
  /** how it ended, as of the moment of reading */
  readonly outcome: "waiting" | "answered" | "failed" | "interrupted"
}

/**
 * What a request gets: an answer, or a failure to get one.
 *
 * @since 0.1.0
 * @category models
 */
export type Reply = Answer | Failure

/**
 * @since 0.1.0
 * @category models
 */
export interface Answer {
  readonly _tag: "Answer"
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
 * A reply, an effect that ends in one, or a function of the request.
 *
 * @since 0.1.0
 * @category models
 */
export type Step = Reply | Effect.Effect<Reply> | ((request: Recorded) => Reply | Effect.Effect<Reply>)

/**
 * One step for all requests, or steps by path (`/create_session`). Of several steps for a path each serves one request,
 * and the last serves all that follow. The path `*` takes what no other path does; without it that gets a 404.
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
  /** in order of arrival */
  readonly requests: Effect.Effect<ReadonlyArray<Recorded>>
  readonly requestsTo: (path: string) => Effect.Effect<ReadonlyArray<Recorded>>
}

/**
 * How an answer differs from a plain 200.
 *
 * @since 0.1.0
 * @category models
 */
export interface AnswerOptions {
  readonly status?: number | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
}

const answer = (body: string | Uint8Array, contentType: string, options: AnswerOptions | undefined): Answer => ({
  _tag: "Answer",
  status: options?.status ?? 200,
  headers: { ...(contentType === "" ? {} : { "content-type": contentType }), ...options?.headers },
  body
})

/**
 * An answer with a JSON body.
 *
 * @since 0.1.0
 * @category replies
 */
export const json = (body: unknown, options?: AnswerOptions): Reply =>
  answer(JSON.stringify(body), "application/json", options)

/**
 * An answer with a text body, such as the page of an edge proxy or broken JSON.
 *
 * @since 0.1.0
 * @category replies
 */
export const text = (body: string, options?: AnswerOptions): Reply => answer(body, "text/plain", options)

/**
 * An answer of bytes.
 *
 * @since 0.1.0
 * @category replies
 */
export const bytes = (body: Uint8Array, options?: AnswerOptions): Reply =>
  answer(body, "application/octet-stream", options)

/**
 * An answer without a body.
 *
 * @since 0.1.0
 * @category replies
 */
export const empty = (options?: AnswerOptions): Reply => answer("", "", options)

/**
 * No answer: the connection broke. The client sees a `RequestError` with reason `Transport`.
 *
 * @since 0.1.0
 * @category replies
 */
export const connectionLost: Reply = { _tag: "Failure", reason: "Transport", description: "the connection was lost" }

/**
 * No answer, ever: the request waits until it is interrupted.
 *
 * @since 0.1.0
 * @category replies
 */
export const silence: Effect.Effect<Reply> = Effect.never

/**
 * A reply that comes later, by the `Clock`.
 *
 * @since 0.1.0
 * @category replies
 */
export const after = (delay: Duration.DurationInput, reply: Reply): Effect.Effect<Reply> =>
  Effect.delay(Effect.succeed(reply), delay)

const isReply = (u: object): u is Reply => "_tag" in u && (u._tag === "Answer" || u._tag === "Failure")

const isStep = (script: Script): script is Step =>
  typeof script === "function" || Effect.isEffect(script) || isReply(script)

const pathOf = (url: URL): string => {
  const at = url.pathname.lastIndexOf(`${TinkerApi.prefix}/`)
  return at < 0 ? url.pathname : url.pathname.slice(at + TinkerApi.prefix.length)
}

const bodyBytes = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Uint8Array, HttpClientError.RequestError> => {
  const body = request.body
  const encode = (text: string) => new TextEncoder().encode(text)
  switch (body._tag) {
    case "Empty":
      return Effect.succeed(new Uint8Array())
    case "Uint8Array":
      return Effect.succeed(body.body)
    case "Raw":
      return Effect.succeed(encode(typeof body.body === "string" ? body.body : String(body.body)))
    case "Stream":
      return Stream.mkString(Stream.decodeText(body.stream)).pipe(
        Effect.map(encode),
        Effect.mapError((cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause }))
      )
    case "FormData":
      return Effect.succeed(encode(JSON.stringify(Array.from(body.formData.entries()))))
  }
}

const encodePass = Schema.encodeSync(Training.ForwardBackwardRequest)

const parse = (bytes: Uint8Array, text: string, contentType: string | undefined): unknown => {
  if (text === "") return undefined
  if (ProtobufCodec.isProtobuf(contentType)) {
    const pass = ProtobufCodec.decodeForwardBackwardRequest(bytes)
    return Either.isRight(pass) ? { ...encodePass(pass.right), forward_only: pass.right.forward_only } : text
  }
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/**
 * A client for one script, with its own record.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (script: Script): Effect.Effect<ScriptedHttpClient> =>
  Effect.sync(() => {
    const recorded: Array<Recorded> = []
    const served = new Map<string, number>()

    const stepFor = (path: string): Step => {
      if (isStep(script)) return script
      const key = Object.hasOwn(script, path) ? path : "*"
      const steps = script[key]
      if (steps === undefined) return json({ detail: "Not Found" }, { status: 404 })
      if (!Array.isArray(steps)) return steps as Step
      const list: ReadonlyArray<Step> = steps
      const count = served.get(key) ?? 0
      served.set(key, count + 1)
      return list[Math.min(count, list.length - 1)] ?? json({ detail: "Not Found" }, { status: 404 })
    }

    const client = HttpClient.make((request, url) =>
      Effect.gen(function* () {
        const bytes = yield* bodyBytes(request)
        const text = new TextDecoder().decode(bytes)
        const index = recorded.length
        const entry: Recorded = {
          method: request.method,
          url: url.href,
          path: pathOf(url),
          headers: { ...request.headers },
          body: parse(bytes, text, request.headers["content-type"]),
          text,
          bytes,
          time: yield* Clock.currentTimeMillis,
          outcome: "waiting"
        }
        recorded.push(entry)
        const end = (outcome: Recorded["outcome"]) =>
          Effect.sync(() => {
            recorded[index] = { ...entry, outcome }
          })
        return yield* Effect.suspend(() => {
          const step = stepFor(entry.path)
          const made = typeof step === "function" ? step(entry) : step
          return Effect.isEffect(made) ? made : Effect.succeed(made)
        }).pipe(
          Effect.flatMap((reply) => {
            if (reply._tag === "Failure") {
              const { reason, description } = reply
              return new HttpClientError.RequestError({ request, reason, description })
            }
            const { status, headers, body } = reply
            const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
            // without a web Response, whose reading takes turns of the event loop that a test clock does not wait for
            const app = Effect.succeed(HttpServerResponse.raw(bytes, { status, headers }))
            return Effect.flatMap(InProcessHttpClient.fromHttpApp(app), (answering) => answering.execute(request))
          }),
          Effect.onExit((exit) =>
            end(Exit.isSuccess(exit) ? "answered" : Cause.isInterrupted(exit.cause) ? "interrupted" : "failed")
          )
        )
      })
    )

    return {
      client,
      layer: Layer.succeed(HttpClient.HttpClient, client),
      requests: Effect.sync(() => recorded.slice()),
      requestsTo: (path) => Effect.sync(() => recorded.filter((request) => request.path === path))
    }
  })
