import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as client from "../utils/client.ts"

const { createModel, createSession, forwardBackward, post, result } = client

/** The endpoints that take JSON, by path. */
const jsonEndpoints = (): ReadonlyArray<{ readonly method: string; readonly path: string }> => {
  const found: Array<{ readonly method: string; readonly path: string }> = []
  HttpApi.reflect(TinkerApi.TinkerApi, {
    onGroup: () => undefined,
    onEndpoint: ({ endpoint }) => {
      if (Option.isSome(endpoint.payloadSchema)) found.push({ method: endpoint.method, path: endpoint.path })
    }
  })
  return found
}

const text = (length: number) => "x".repeat(length)
const record = (count: number, value: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, value]))

const session = { tags: [], user_metadata: {}, sdk_version: "test" }

describe("the fields of a request", () => {
  it.scoped("are bounded at every endpoint that takes JSON", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const endpoints = jsonEndpoints()
        assert.isAbove(endpoints.length, 25)
        for (const { method, path } of endpoints) {
          const url = path.replace(TinkerApi.prefix, "").replace(/:\w+/g, "weights")
          const send = method === "PUT" ? client.put : post
          const { body, status } = yield* send(url, { anything: { inside: text(2000) } })
          assert.strictEqual(status, 422, url)
          assert.strictEqual(body.detail, "anything.inside has 2000 characters, but at most 1024 are allowed", url)
        }
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are refused with their path", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const refused: ReadonlyArray<readonly [path: string, url: string, body: object]> = [
          ["tags[1] has 300 characters", "/create_session", { ...session, tags: ["a", text(300)] }],
          ["tags has 65 items", "/create_session", { ...session, tags: Array.from({ length: 65 }, () => "a") }],
          ["user_metadata has 65 fields", "/create_session", { ...session, user_metadata: record(65, "a") }],
          [
            "user_metadata.key0 has 5000 characters",
            "/create_session",
            { ...session, user_metadata: record(1, text(5000)) }
          ],
          ["user_metadata has", "/create_session", { ...session, user_metadata: record(5, text(4000)) }],
          [
            "user_metadata.display_name has 5000",
            "/create_session",
            { ...session, user_metadata: { display_name: text(5000) } }
          ],
          ["display_name has 257 characters", "/create_session", { ...session, display_name: text(257) }],
          ["project_id has 2000 characters", "/create_session", { ...session, project_id: text(2000) }],
          [`${text(256)} has 300 characters in its name`, "/create_session", { ...session, [text(300)]: 1 }],
          ["detail has 5000 characters", "/sessions/none/finish", { reason: { type: "success" }, detail: text(5000) }],
          [
            "base_model has 2000 characters",
            "/create_model",
            { session_id: "a", model_seq_id: 0, base_model: text(2000) }
          ],
          ["model_path has 2000 characters", "/asample", { ...client.sampleRequest("", 0), model_path: text(2000) }],
          ["project_ids has 5000 items", "/sessions/search", { project_ids: Array.from({ length: 5000 }, () => "a") }],
          ["prev_cursor has", "/retrieve_futures", { prev_cursor: text(2000) }]
        ]
        for (const [detail, url, body] of refused) {
          const response = yield* post(url, body)
          assert.strictEqual(response.status, 422, detail)
          assert.include(response.body.detail, detail)
        }
        const deep = Array.from({ length: 100 }).reduce<object>((inner) => ({ inner }), {})
        assert.match((yield* post("/create_session", { ...session, deep })).body.detail, /nested too deeply/)
        const largest = {
          tags: Array.from({ length: 64 }, () => text(256)),
          display_name: text(256),
          user_metadata: record(3, text(4096)),
          sdk_version: text(1024)
        }
        assert.strictEqual((yield* post("/create_session", largest)).status, 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("use up the seq_id of an operation when they are refused", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model_id = yield* createModel(yield* createSession)
        const { request_id } = yield* client.ok(forwardBackward(model_id, 2))
        const save = yield* post("/save_weights", { model_id, seq_id: 1, user_metadata: record(1, text(5000)) })
        assert.strictEqual(save.status, 422)
        assert.property(yield* result(request_id), "metrics")
      }).pipe(Effect.provide(layer))
    })
  )
})
