import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const service = InProcessHttpClient.layer().pipe(
  Layer.provide([TestEngine.layer(), CheckpointStore.layerMemory]),
  Layer.provide(Store.layerMemory)
)

const post = (path: string, body: string, headers: { readonly [name: string]: string } = {}) =>
  Effect.gen(function* () {
    const http = yield* HttpClient.HttpClient
    const request = HttpClientRequest.post(`http://localhost/api/v1${path}`, {
      headers: { "content-type": "application/json", ...headers }
    })
    const response = yield* http.execute(
      HttpClientRequest.bodyText(request, body, headers["content-type"] ?? "application/json")
    )
    const bytes = new Uint8Array(yield* response.arrayBuffer)
    const { "x-request-id": id, ...rest } = response.headers
    assert.match(id!, /^[\da-f-]{36}$/)
    return { status: response.status, headers: { ...rest }, body: Array.from(bytes) }
  })

const json = (response: { readonly body: ReadonlyArray<number> }) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.from(response.body)))

const createSampler = Effect.gen(function* () {
  const session = { tags: [], user_metadata: {}, sdk_version: "test", type: "create_session" }
  const { session_id } = json(yield* post("/create_session", JSON.stringify(session)))
  const sampler = {
    session_id,
    sampling_session_seq_id: 0,
    base_model: TestEngine.baseModel,
    type: "create_sampling_session"
  }
  return json(yield* post("/create_sampling_session", JSON.stringify(sampler))).sampling_session_id as string
})

/** The router takes the path with a query, and answers it as it answers the path alone. */
const assertSame = (path: string, body: string, headers?: { readonly [name: string]: string }) =>
  Effect.gen(function* () {
    const direct = yield* post(path, body, headers)
    assert.deepStrictEqual(direct, yield* post(`${path}?by=router`, body, headers), body.slice(0, 200))
    return direct
  })

describe("what needs no router", () => {
  it.effect("gets the responses of the router: results, rejections and bodies that cannot be read", () =>
    Effect.gen(function* () {
      const sampling_session_id = yield* createSampler
      const sample = {
        sampling_session_id,
        seq_id: 1,
        num_samples: 2,
        prompt: { chunks: [{ type: "encoded_text", tokens: [1, 2, 3] }] },
        sampling_params: { max_tokens: 5, seed: 1 },
        type: "sample"
      }
      const statuses: Array<number> = []
      const check = (path: string, body: unknown, headers?: { readonly [name: string]: string }) =>
        Effect.map(assertSame(path, typeof body === "string" ? body : JSON.stringify(body), headers), (response) => {
          statuses.push(response.status)
          return response
        })
      const { request_id } = json(yield* check("/asample", sample))
      yield* check("/retrieve_future", { request_id })
      yield* check("/retrieve_future", { request_id }, { accept: "application/x-protobuf" })
      yield* check("/retrieve_future", { request_id, allow_metadata_only: true })
      assert.deepStrictEqual(new Set(statuses.splice(0)), new Set([200]))
      // conflict, negative number, unknown session, too long a prompt, no prompt, wrong types, and no JSON
      yield* check("/asample", { ...sample, num_samples: 3 })
      yield* check("/asample", { ...sample, seq_id: -1 })
      yield* check("/asample", { ...sample, sampling_session_id: "nobody" })
      yield* check("/asample", { ...sample, seq_id: 2, sampling_params: { max_tokens: 1e6 } })
      yield* check("/asample", { ...sample, prompt: undefined })
      yield* check("/asample", { ...sample, num_samples: "two", seq_id: [] })
      yield* check("/asample", [])
      yield* check("/asample", "{")
      yield* check("/asample", "")
      yield* check("/asample", sample, { "content-type": "text/plain" })
      yield* check("/retrieve_future", { request_id: "nobody" })
      yield* check("/retrieve_future", { request_id: 1 })
      yield* check("/retrieve_future", "null")
      assert.deepStrictEqual(statuses, [409, 400, 404, 400, 422, 422, 422, 422, 422, 415, 404, 422, 422])
    }).pipe(Effect.provide(service))
  )
})
