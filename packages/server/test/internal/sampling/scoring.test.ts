import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Sampling from "@effect-tinker/api/Sampling"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { scoringProblem } from "../../../src/internal/sampling/scoring.ts"
import * as client from "../../utils/client.ts"

const { post, result, statusOf } = client

const promptOf = (tokens: ReadonlyArray<number>) => ({ chunks: [{ type: "encoded_text", tokens }] })

const targets = { dtype: "int64", data: [-1, 5, 7, 8], shape: [2, 2] }

const request = {
  base_model: TestEngine.baseModel,
  num_samples: 2,
  prompt: promptOf([1, 2, 3]),
  sampling_params: { max_tokens: 3, seed: 1, temperature: 1 }
}

const everything = {
  ...request,
  prompt_logprobs: true,
  prompt_logprobs_last_n: 1,
  topk_prompt_logprobs: 2,
  topk_sample_logprobs: 2,
  target_prompt_logprobs: targets,
  prompt_alt_tokens_k: 3
}

/** The logprobs of all tokens after a prompt of one token, each found by scoring a prompt of two. */
const logprobAfter = (previous: number, next: number) =>
  Effect.map(
    client.run("/asample", { ...request, num_samples: 1, prompt: promptOf([previous, next]), prompt_logprobs: true }),
    (sampled) => sampled.prompt_logprobs[1] as number
  )

const asProtobuf = (request_id: string) =>
  Effect.gen(function* () {
    const response = yield* HttpClient.execute(
      HttpClientRequest.post(`${client.base}/retrieve_future`).pipe(
        HttpClientRequest.bodyUnsafeJson({ request_id }),
        HttpClientRequest.setHeader("accept", "application/x-protobuf, application/json")
      )
    )
    assert.include(response.headers["content-type"], "protobuf")
    return yield* ProtobufCodec.decodeSampleResponse(new Uint8Array(yield* response.arrayBuffer))
  })

describe("the scoring options of a sample request", () => {
  it.scoped("is in the response, as JSON and as protobuf", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const sent = yield* client.ok(post("/asample", everything))
        const found = yield* result(sent.request_id)
        assert.deepStrictEqual(found.prompt_logprobs.slice(0, 2), [null, null])
        assert.approximately(found.prompt_logprobs[2], yield* logprobAfter(2, 3), 1e-6)
        assert.deepStrictEqual(found.topk_prompt_logprobs.slice(0, 2), [null, null])
        assert.strictEqual(found.topk_prompt_logprobs[2].length, 2)
        const scored = found.target_prompt_logprobs
        assert.deepInclude(scored, { dtype: "float32", shape: [2, 2] })
        const expected = [0, yield* logprobAfter(1, 5), yield* logprobAfter(2, 7), yield* logprobAfter(2, 8)]
        scored.data.forEach((value: number, i: number) => assert.approximately(value, expected[i]!, 1e-6))
        const { logprobs, tokens } = found.prompt_alt_tokens
        assert.deepInclude(tokens, { dtype: "int64", shape: [2, 3] })
        for (let i = 0; i < 6; i++) {
          const previous = i < 3 ? 1 : 2
          assert.approximately(logprobs.data[i], yield* logprobAfter(previous, tokens.data[i]), 1e-6)
        }
        for (const sequence of found.sequences) {
          assert.strictEqual(sequence.topk_logprobs.length, 3)
          const before = [3, ...sequence.tokens]
          for (let i = 0; i < 3; i++) {
            for (const [token, logprob] of sequence.topk_logprobs[i]) {
              assert.approximately(logprob, yield* logprobAfter(before[i]!, token), 1e-6)
            }
          }
        }
        const decoded = yield* asProtobuf(sent.request_id)
        const again = JSON.parse(JSON.stringify(Schema.encodeSync(Sampling.SampleResponse)(decoded)))
        assert.deepStrictEqual(again.target_prompt_logprobs, scored)
        assert.deepStrictEqual(again.prompt_alt_tokens, found.prompt_alt_tokens)
        assert.deepStrictEqual(again.prompt_logprobs, found.prompt_logprobs)
        assert.strictEqual(again.sequences[0].topk_logprobs[0][0][0], found.sequences[0].topk_logprobs[0][0][0])
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is rejected before anything is computed, if the engine cannot do it", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start({}, { scoring: ["topk_sample_logprobs"] })
      yield* Effect.gen(function* () {
        const options = {
          prompt_logprobs_last_n: { prompt_logprobs: true, prompt_logprobs_last_n: 1 },
          target_prompt_logprobs: { target_prompt_logprobs: targets },
          prompt_alt_tokens_k: { prompt_alt_tokens_k: 1 },
          record_stability_info: { record_stability_info: true },
          json_schema: { json_schema: '{"type":"boolean"}' }
        }
        for (const [name, option] of Object.entries(options)) {
          const { body, status } = yield* post("/asample", { ...request, ...option })
          assert.strictEqual(status, 400, name)
          assert.include(body.detail, name)
        }
        assert.deepStrictEqual(yield* engine.operations, [])
        assert.strictEqual(yield* statusOf(post("/asample", { ...request, topk_sample_logprobs: 1 })), 200)
        assert.strictEqual(yield* statusOf(post("/asample", { ...request, record_stability_info: false })), 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is not recorded for a loss that no model is trained with", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make()
      const decode = Schema.decodeUnknown(Sampling.SampleRequest)
      const recorded = yield* decode({ ...request, sampling_session_id: "s", record_stability_info: true })
      assert.isUndefined(scoringProblem(engine, recorded, 3, 3))
      const without = { ...engine, losses: ["cross_entropy"] }
      assert.include(
        scoringProblem(without, recorded, 3, 3),
        "record_stability_info: loss_fn stable_reinforce is not on offer"
      )
    })
  )

  it.scoped("is rejected if its shape or size is wrong", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const rejected = {
          "without prompt_logprobs": { prompt_logprobs_last_n: 1 },
          "more than can be scored": { prompt_logprobs: true, prompt_logprobs_last_n: 3 },
          "too few rows": { target_prompt_logprobs: { ...targets, data: [1], shape: [1, 1] } },
          "one dimension": { target_prompt_logprobs: { ...targets, shape: [4] } },
          "float targets": { target_prompt_logprobs: { ...targets, dtype: "float32" } },
          "too many of the prompt": { topk_prompt_logprobs: 2 ** 20 },
          "too many of samples": { topk_sample_logprobs: 2 ** 20 },
          "too many alternatives": { prompt_alt_tokens_k: 2 ** 20 }
        }
        for (const [what, option] of Object.entries(rejected)) {
          assert.strictEqual(yield* statusOf(post("/asample", { ...request, ...option })), 400, what)
        }
        assert.deepStrictEqual(yield* engine.operations, [])
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("can be a prompt of exactly the context length, after which nothing can be sampled", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const prompt = promptOf(Array.from({ length: TestEngine.maxContextLength }, (_, i) => i % 200))
        const score = { ...request, num_samples: 1, prompt, prompt_logprobs: true, sampling_params: { max_tokens: 1 } }
        const { prompt_logprobs } = yield* client.run("/asample", score)
        assert.strictEqual(prompt_logprobs.length, TestEngine.maxContextLength)
        assert.strictEqual(yield* statusOf(post("/asample", { ...score, prompt_logprobs: false })), 400)
        assert.strictEqual(yield* statusOf(post("/asample", { ...score, sampling_params: { max_tokens: 2 } })), 400)
      }).pipe(Effect.provide(layer))
    })
  )
})
