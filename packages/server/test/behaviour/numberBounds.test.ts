import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../utils/client.ts"

const { post, run, statusOf } = client

const sample = {
  base_model: TestEngine.baseModel,
  prompt: { chunks: [{ type: "encoded_text", tokens: [1, 2] }] },
  sampling_params: { max_tokens: 4 }
}

const withParams = (params: object) => ({ ...sample, sampling_params: { ...sample.sampling_params, ...params } })

describe("numbers in requests", () => {
  it.scoped("are bounded before anything that grows with them is allocated", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* client.createSession
        const rejected = {
          num_samples: post("/asample", { ...sample, num_samples: 1e6 }),
          "num_samples at its largest": post("/asample", { ...sample, num_samples: Number.MAX_SAFE_INTEGER }),
          max_tokens: post("/asample", withParams({ max_tokens: 1e9 })),
          "the product of both": post("/asample", { ...withParams({ max_tokens: 1022 }), num_samples: 4200 }),
          top_k: post("/asample", withParams({ top_k: 1e12 })),
          "the number of stops": post("/asample", withParams({ stop: Array.from({ length: 2000 }, () => "a") })),
          "the length of a stop": post("/asample", withParams({ stop: "a".repeat(5000) })),
          rank: post("/create_model", {
            session_id,
            model_seq_id: 0,
            base_model: TestEngine.baseModel,
            lora_config: { rank: 1e9 }
          })
        }
        for (const [what, request] of Object.entries(rejected)) assert.strictEqual(yield* statusOf(request), 400, what)
        assert.deepStrictEqual(yield* engine.operations, [])
        assert.strictEqual((yield* run("/asample", { ...sample, num_samples: 4096 })).sequences.length, 4096)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("cannot set an expiry that no date can hold, which would break lists of checkpoints", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* client.createSession
        const model_id = yield* client.createModel(session_id)
        const { path } = yield* run("/save_weights", { model_id, path: "a" })
        const ttl_seconds = 1e13
        const url = `/training_runs/${model_id}/checkpoints/weights/a/ttl`
        const copy = { session_id, model_seq_id: 3, source_path: path, ttl_seconds }
        const rejected = {
          save: post("/save_weights", { model_id, path: "b", ttl_seconds }),
          "save for a sampler": post("/save_weights_for_sampler", { model_id, path: "b", ttl_seconds }),
          export: post("/save_weights_external", { model_id, path: "b", ttl_seconds }),
          change: client.put(url, { ttl_seconds }),
          copy: post("/copy_weights", copy)
        }
        for (const [what, request] of Object.entries(rejected)) assert.strictEqual(yield* statusOf(request), 400, what)
        assert.strictEqual((yield* client.ok(client.get("/checkpoints"))).checkpoints.length, 1)
      }).pipe(Effect.provide(layer))
    })
  )
})
