import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"

const { createSession, ok, post, statusOf } = client

describe("the endpoints of the group sessions", () => {
  it.scoped("finish a session, and keep the first reason", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const finish = (type: string) => post(`/sessions/${session}/finish`, { reason: { type }, detail: null })
        assert.strictEqual(yield* statusOf(finish("success")), 204)
        assert.strictEqual(yield* statusOf(finish("errored")), 204)
        assert.strictEqual(yield* statusOf(post("/session_heartbeat", { session_id: session })), 410)
        const found = yield* ok(post("/sessions/search", { session_id: session }))
        assert.deepStrictEqual(found.sessions[0].status, { type: "client_finished", reason: { type: "success" } })
        assert.strictEqual(yield* statusOf(post("/sessions/none/finish", { reason: { type: "success" } })), 404)
      }).pipe(Effect.provide(layer))
    })
  )
})
