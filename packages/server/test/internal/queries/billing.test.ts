import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"
import * as fixtures from "../../utils/checkpoints.ts"

const { get, ok, run, statusOf } = client

describe("the usage query", () => {
  it.scoped("counts the tokens that were trained on and sampled, by the hour", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ sessionTimeout: "2 hours" })
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* fixtures.savedModel
        const data = client.input(client.datum([1, 2, 3]), client.datum([1, 2, 3, 4, 5]))
        yield* run("/forward", { model_id, forward_input: data })
        yield* run("/forward_backward", { model_id, forward_backward_input: data })
        yield* TestClock.adjust("1 hour")
        yield* run("/forward", { model_id, forward_input: data })
        const { sampling_session_id } = yield* run("/save_weights_for_sampler", { model_id })
        yield* run("/asample", client.sampleRequest(sampling_session_id, 0, { num_samples: 3 }))
        const usage = (query: string) => get(`/billing/usage/events?${query}`)
        const body = yield* ok(usage("starting_on=1970-01-01T00:00:00Z&ending_before=1970-01-02T00:00:00Z"))
        assert.deepStrictEqual(
          body.data.map(({ bucket_start, event_info }: { bucket_start: string; event_info: object }) => [
            bucket_start.slice(11, 13),
            event_info
          ]),
          [
            ["00", { type: "training", token_count: 12 }],
            ["00", { type: "checkpoint", count: 2 }],
            ["01", { type: "sampling_sample", token_count: 12 }],
            ["01", { type: "training", token_count: 6 }],
            ["01", { type: "sampling_prefill", cached: false, token_count: 2 }]
          ]
        )
        assert.deepStrictEqual(body.sessions, { [session_id]: { user_metadata: { suite: "rest" } } })
        assert.strictEqual(body.data[0].project_id, "p")
        const later = yield* ok(usage("starting_on=1970-01-01T01:00:00Z&ending_before=1970-01-01T02:00:00Z"))
        assert.strictEqual(later.data.length, 3)
        const long = usage("starting_on=1970-01-01T00:00:00Z&ending_before=1970-02-01T00:00:00Z")
        assert.strictEqual(yield* statusOf(long), 400)
      }).pipe(Effect.provide(layer))
    })
  )
})
