import { assert, describe, it } from "@effect/vitest"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as ScriptedHttpClient from "../src/ScriptedHttpClient.ts"

const post = (path: string, body: unknown) =>
  HttpClient.HttpClient.pipe(
    Effect.flatMap((client) =>
      client.execute(
        HttpClientRequest.post(`https://tinker.test/services/x/api/v1${path}?q=1`).pipe(
          HttpClientRequest.bodyUnsafeJson(body),
          HttpClientRequest.setHeader("X-Test", "yes")
        )
      )
    )
  )

describe("ScriptedHttpClient", () => {
  it.effect("responds by path, in sequence, and records the requests", () =>
    Effect.gen(function* () {
      const scripted = yield* ScriptedHttpClient.make({
        "/create_session": ScriptedHttpClient.json({ session_id: "s" }),
        "/asample": [
          ScriptedHttpClient.connectionLost,
          ScriptedHttpClient.json({ detail: "busy" }, { status: 429, headers: { "retry-after": "2" } }),
          (request) => ScriptedHttpClient.json({ echo: request.body })
        ]
      })
      yield* Effect.gen(function* () {
        const session = yield* post("/create_session", { tags: [] })
        assert.deepStrictEqual(yield* session.json, { session_id: "s" })
        const lost = yield* Effect.flip(post("/asample", 1))
        assert.strictEqual(lost.reason, "Transport")
        const busy = yield* post("/asample", 2)
        assert.strictEqual(busy.status, 429)
        assert.strictEqual(busy.headers["retry-after"], "2")
        for (const n of [3, 4]) {
          const echoed = yield* post("/asample", n)
          assert.deepStrictEqual(yield* echoed.json, { echo: n })
        }
        assert.strictEqual((yield* post("/nowhere", {})).status, 404)
      }).pipe(Effect.provide(scripted.layer))

      const [first] = yield* scripted.requests
      assert.strictEqual(first?.method, "POST")
      assert.strictEqual(first?.path, "/create_session")
      assert.strictEqual(first?.url, "https://tinker.test/services/x/api/v1/create_session?q=1")
      assert.strictEqual(first?.headers["x-test"], "yes")
      assert.deepStrictEqual(first?.body, { tags: [] })
      const samples = yield* scripted.requestsTo("/asample")
      assert.deepStrictEqual(
        samples.map((request) => [request.body, request.outcome]),
        [
          [1, "failed"],
          [2, "responded"],
          [3, "responded"],
          [4, "responded"]
        ]
      )
    })
  )

  it.effect("says which path the script lacks", () =>
    Effect.gen(function* () {
      const scripted = yield* ScriptedHttpClient.make({ "/asample": ScriptedHttpClient.json({}) })
      const response = yield* post("/create_session", {}).pipe(Effect.provide(scripted.layer))
      assert.strictEqual(response.status, 404)
      assert.include(yield* response.text, "no script for POST /create_session")
    })
  )

  it.effect("delays replies by the test clock", () =>
    Effect.gen(function* () {
      const scripted = yield* ScriptedHttpClient.make(
        ScriptedHttpClient.after("20 seconds", ScriptedHttpClient.empty({ status: 204 }))
      )
      yield* TestClock.adjust("5 seconds")
      const fiber = yield* Effect.fork(post("/retrieve_future", {}).pipe(Effect.provide(scripted.layer)))
      yield* TestClock.adjust("19 seconds")
      assert.strictEqual((yield* scripted.requests)[0]?.outcome, "waiting")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 204)
      assert.strictEqual((yield* scripted.requests)[0]?.time, 5000)
    })
  )

  it.effect("records that a request was interrupted", () =>
    Effect.gen(function* () {
      const scripted = yield* ScriptedHttpClient.make(ScriptedHttpClient.silence)
      const fiber = yield* Effect.fork(post("/retrieve_future", {}).pipe(Effect.provide(scripted.layer)))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* scripted.requests)[0]?.outcome, "interrupted")
    })
  )
})
