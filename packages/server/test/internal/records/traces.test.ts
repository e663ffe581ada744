import type * as Training from "@effect-tinker/api/Training"
import * as Engine from "@effect-tinker/server/Engine"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"

const { createModel, get, ok, statusOf } = client

describe("the trace of a session", () => {
  it.scoped("shows its operations, when they ran, and how long they waited", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start(
        {},
        {
          before: ({ input, name }) => {
            if (name !== "optimStep") return Effect.void
            const fails = (input as Training.AdamParams).learning_rate === 3
            const failure = new Engine.EngineError({ reason: "no", category: "user" })
            return Effect.andThen(Effect.sleep("2 seconds"), fails ? failure : Effect.void)
          }
        }
      )
      yield* Effect.gen(function* () {
        const session = yield* client.createSession
        const model_id = yield* createModel(session)
        const steps = yield* Effect.forEach([1, 2, 3], (seqId) => ok(client.optimStep(model_id, seqId, seqId)))
        yield* TestClock.adjust("10 seconds")
        yield* Effect.forEach(steps, ({ request_id }) => client.result(request_id))
        const { status, url } = yield* ok(get(`/sessions/${session}/trace_export`))
        assert.strictEqual(status, "ready")
        // the signed URL needs no API key
        const { traceEvents } = yield* ok(client.send(HttpClientRequest.get(url)))
        type Span = { ph: string; name: string; tid: number; ts: number; dur: number; args: Record<string, unknown> }
        const spans = (traceEvents as ReadonlyArray<Span>).filter(({ name, ph }) => ph === "X" && name === "OptimStep")
        assert.deepStrictEqual(
          spans.map(({ args, dur, tid, ts }) => [tid, ts, dur, args["seq_id"], args["outcome"]]),
          [
            [0, 0, 2e6, 1, "done"],
            [1, 0, 2e6, 2, "done"],
            [0, 2e6, 2e6, 2, "done"],
            [1, 0, 4e6, 3, "failed"],
            [0, 4e6, 2e6, 3, "failed"]
          ]
        )
        assert.strictEqual(
          yield* statusOf(client.send(HttpClientRequest.get(url.replace(/signature=\w+/, "signature=0")))),
          403
        )
        yield* TestClock.adjust("61 minutes")
        assert.strictEqual(yield* statusOf(client.send(HttpClientRequest.get(url))), 410)
      }).pipe(Effect.provide(layer))
    })
  )
})
