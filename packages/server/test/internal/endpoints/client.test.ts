import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"

const { ok, post, statusOf } = client

describe("the endpoints of the group client", () => {
  it.scoped("accept flags and telemetry, and reject what the service does not support", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* ok(post("/client/dynamic_config", { sdk_version: "test" })), {
          sample_cancel_enabled: true
        })
        const event = {
          event: "SESSION_START",
          event_id: "e",
          event_session_index: 0,
          severity: "INFO",
          timestamp: "2026-01-02T03:04:05.678901Z"
        }
        const sent = { events: [event], platform: "test", sdk_version: "test", session_id: "s" }
        assert.deepStrictEqual(yield* ok(post("/telemetry", sent)), { status: "accepted" })
        assert.strictEqual(yield* statusOf(post("/telemetry", { ...sent, events: [{ event: 1 }] })), 422)
        assert.strictEqual(yield* statusOf(post("/auth/token", {})), 400)
        assert.strictEqual(yield* statusOf(client.get("/auth/apikey/me")), 404)
      }).pipe(Effect.provide(layer))
    })
  )
})
