/** A client of the JSON endpoints for tests: one function an endpoint, whose responses are not typed. */
import type { EngineError } from "@effect-tinker/server/Engine"
import type * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/** Starts a service over a test engine, whose operations are recorded. */
export const start = (options: TinkerServer.Options = {}, engine: TestEngine.Options = {}) =>
  TestServer.make({ ...options, engine })

/** A service whose engine waits before every operation of this name until the gate is opened. */
export const startGated = (name: string, options: TinkerServer.Options = {}) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void, EngineError>()
    const before = (operation: TestEngine.Operation) => (operation.name === name ? Deferred.await(gate) : Effect.void)
    const { engine, layer } = yield* start(options, { before })
    return { engine, layer, open: Deferred.succeed(gate, undefined) }
  })

// tests check the fields that they expect
type Json = any // eslint-disable-line typescript/no-explicit-any

export interface TestResponse {
  readonly status: number
  readonly body: Json
  readonly headers: { readonly [name: string]: string | undefined }
}

/** Any base URL works. */
export const base = "http://tinker.test/api/v1"

export const send = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<TestResponse, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const response = yield* HttpClient.execute(request)
    const text = yield* response.text
    return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) }
  }).pipe(Effect.orDie)

export const get = (path: string) => send(HttpClientRequest.get(`${base}${path}`))

export const post = (path: string, body: unknown, headers: { readonly [name: string]: string } = {}) =>
  send(
    HttpClientRequest.post(`${base}${path}`).pipe(
      HttpClientRequest.bodyUnsafeJson(body),
      HttpClientRequest.setHeaders(headers)
    )
  )

export const put = (path: string, body: unknown) =>
  send(HttpClientRequest.put(`${base}${path}`).pipe(HttpClientRequest.bodyUnsafeJson(body)))

export const del = (path: string) => send(HttpClientRequest.del(`${base}${path}`))

export const postText = (path: string, body: string, contentType = "application/json") =>
  send(HttpClientRequest.post(`${base}${path}`).pipe(HttpClientRequest.bodyText(body, contentType)))

/** The body of a response with status 200. */
export const ok = <R>(response: Effect.Effect<TestResponse, never, R>): Effect.Effect<Json, never, R> =>
  Effect.map(response, ({ body, status }) => {
    assert.strictEqual(status, 200, JSON.stringify(body))
    return body
  })

/** The status of a response. */
export const statusOf = <R>(response: Effect.Effect<TestResponse, never, R>) =>
  Effect.map(response, ({ status }) => status)

/** One poll for a result. */
export const poll = (request_id: string, allow_metadata_only = false) =>
  post("/retrieve_future", { request_id, allow_metadata_only })

/** Polls until there is a result. */
export const result = (request_id: string): Effect.Effect<Json, never, HttpClient.HttpClient> =>
  Effect.flatMap(ok(poll(request_id)), (body) =>
    body.type === "try_again" ? result(request_id) : Effect.succeed(body)
  )

/** Submits an operation and polls for its result. */
export const run = (path: string, body: unknown) =>
  Effect.flatMap(ok(post(path, body)), ({ request_id }) => result(request_id))

export const createSession = Effect.map(
  ok(post("/create_session", { tags: [], user_metadata: {}, sdk_version: "test" })),
  ({ session_id }) => session_id as string
)

export const createModel = (session_id: string, model_seq_id = 0) =>
  Effect.map(
    run("/create_model", { session_id, model_seq_id, base_model: TestEngine.baseModel, lora_config: { rank: 8 } }),
    ({ model_id }) => model_id as string
  )

/** A datum for cross_entropy, as JSON. */
export const datum = (tokens: ReadonlyArray<number>) => ({
  model_input: { chunks: [{ type: "encoded_text", tokens: tokens.slice(0, -1) }] },
  loss_fn_inputs: {
    target_tokens: { data: tokens.slice(1), dtype: "int64", shape: [tokens.length - 1] },
    weights: { data: tokens.slice(1).map(() => 1), dtype: "float32", shape: [tokens.length - 1] }
  }
})

export const input = (...data: ReadonlyArray<unknown>) => ({ data, loss_fn: "cross_entropy" })

export const forwardBackward = (model_id: string, seq_id?: number, data: ReadonlyArray<unknown> = [datum([1, 2, 3])]) =>
  post("/forward_backward", { forward_backward_input: input(...data), model_id, seq_id })

export const optimStep = (model_id: string, seq_id?: number, learning_rate = 0.1) =>
  post("/optim_step", { adam_params: { learning_rate }, model_id, seq_id })

export const sampleRequest = (sampling_session_id: string, seq_id: number, extra: object = {}) => ({
  sampling_session_id,
  seq_id,
  num_samples: 1,
  prompt: { chunks: [{ type: "encoded_text", tokens: [1, 2] }] },
  sampling_params: { max_tokens: 4, seed: 1, temperature: 1 },
  ...extra
})

/** The names of operations of the engine. */
export const names = (operations: ReadonlyArray<TestEngine.Operation>) => operations.map(({ name }) => name)
