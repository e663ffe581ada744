import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as TinkerServer from "@effect-tinker/server/TinkerServer"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as JaxEngine from "../../src/JaxEngine.ts"
import * as fixtures from "../utils/fixtures.ts"

type Json = any // eslint-disable-line typescript/no-explicit-any

const service = (directory: string) =>
  TinkerServer.layer().pipe(
    Layer.provide([
      JaxEngine.layer({ models: [{ name: "test/tiny", directory }] }).pipe(Layer.provide(NodeContext.layer)),
      CheckpointStore.layerMemory,
      Store.layerMemory
    ])
  )

const clientOf = (http: HttpClient.HttpClient) => {
  const post = (path: string, body: unknown): Effect.Effect<Json> =>
    http
      .execute(HttpClientRequest.post(`http://tinker.test/api/v1${path}`).pipe(HttpClientRequest.bodyUnsafeJson(body)))
      .pipe(
        Effect.flatMap((response) => response.json),
        Effect.orDie
      )
  const result = (request_id: string): Effect.Effect<Json> =>
    Effect.flatMap(post("/retrieve_future", { request_id }), (body: Json) =>
      body.type === "try_again" ? result(request_id) : Effect.succeed(body)
    )
  return {
    post,
    run: (path: string, body: unknown) => Effect.flatMap(post(path, body), ({ request_id }) => result(request_id))
  }
}

const targetsOf = (data: ReadonlyArray<number>) => ({
  target_tokens: { data, dtype: "int64", shape: [data.length] },
  weights: { data: data.map(() => 1), dtype: "float32", shape: [data.length] }
})

describe("A TinkerServer over JaxEngine", () => {
  it.scoped("trains, saves a checkpoint and samples from it, while the test clock does not move", () =>
    Effect.gen(function* () {
      const { post, run } = clientOf(yield* InProcessHttpClient.make(service(fixtures.path("tiny-qwen3"))))
      const { session_id } = yield* post("/create_session", { tags: [], user_metadata: {}, sdk_version: "test" })
      const create = { session_id, model_seq_id: 0, base_model: "test/tiny", lora_config: { rank: 4, seed: 1 } }
      const { model_id } = yield* run("/create_model", create)
      const text = [20, 40, 60, 80, 100, 120]
      const datum = {
        model_input: { chunks: [{ type: "encoded_text", tokens: text.slice(0, -1) }] },
        loss_fn_inputs: targetsOf(text.slice(1))
      }
      const losses: Array<number> = []
      for (let step = 0; step < 50; step++) {
        const { metrics } = yield* run("/forward_backward", {
          forward_backward_input: { data: [datum], loss_fn: "cross_entropy" },
          model_id,
          seq_id: 2 * step + 1
        })
        losses.push(metrics["loss:sum"])
        yield* run("/optim_step", { adam_params: { learning_rate: 2e-3 }, model_id, seq_id: 2 * step + 2 })
      }
      assert.isAbove(losses[0]!, 25)
      assert.isBelow(losses[49]!, 1)
      const { path } = yield* run("/save_weights_for_sampler", { model_id, path: "learnt", seq_id: 101 })
      const sampler = { session_id, sampling_session_seq_id: 0, model_path: path }
      const { sampling_session_id } = yield* post("/create_sampling_session", sampler)
      const { sequences } = yield* run("/asample", {
        sampling_session_id,
        seq_id: 0,
        num_samples: 2,
        prompt: { chunks: [{ type: "encoded_text", tokens: [20] }] },
        sampling_params: { max_tokens: 5, temperature: 0 }
      })
      assert.deepStrictEqual(
        sequences.map(({ tokens }: { readonly tokens: ReadonlyArray<number> }) => tokens),
        [text.slice(1), text.slice(1)]
      )
      const failed = yield* run("/asample", {
        sampling_session_id,
        seq_id: 1,
        prompt: { chunks: [{ type: "encoded_text", tokens: [300] }] },
        sampling_params: { max_tokens: 5 }
      })
      assert.strictEqual(failed.category, "user")
      assert.include(failed.error, "the vocabulary of test/tiny has 259 tokens")
    })
  )

  it.scoped("rejects a pass that it cannot run when the request arrives, with the path of the field", () =>
    Effect.gen(function* () {
      const { post, run } = clientOf(yield* InProcessHttpClient.make(service(fixtures.path("tiny-qwen3"))))
      const { session_id } = yield* post("/create_session", { tags: [], user_metadata: {}, sdk_version: "test" })
      const create = { session_id, model_seq_id: 0, base_model: "test/tiny", lora_config: { rank: 4, seed: 1 } }
      const { model_id } = yield* run("/create_model", create)
      const rejected = (tokens: ReadonlyArray<number>, targets: ReadonlyArray<number>, loss_fn_config?: object) =>
        post("/forward_backward", {
          forward_backward_input: {
            data: [{ model_input: { chunks: [{ type: "encoded_text", tokens }] }, loss_fn_inputs: targetsOf(targets) }],
            loss_fn: "cross_entropy",
            loss_fn_config
          },
          model_id
        })
      for (const [response, problem] of [
        [yield* rejected([20, 259], [40, 60]), "data[0].model_input: token 1 is 259, but the vocabulary has 259"],
        [yield* rejected([20, 40], [40, 300]), "data[0].loss_fn_inputs.target_tokens[1] is 300, but the vocabulary"],
        [yield* rejected([20, 40], [40, 60], { beta: 1 }), "loss_fn_config has beta, but cross_entropy takes none"]
      ] as const) {
        assert.notProperty(response, "request_id")
        assert.include(JSON.stringify(response), problem)
      }
    })
  )

  it.scoped("samples the new weights after a sampler of the same name was deleted and saved again", () =>
    Effect.gen(function* () {
      const http = yield* InProcessHttpClient.make(service(fixtures.path("tiny-qwen3")))
      const { post, run } = clientOf(http)
      const { session_id } = yield* post("/create_session", { tags: [], user_metadata: {}, sdk_version: "test" })
      const create = { session_id, model_seq_id: 0, base_model: "test/tiny", lora_config: { rank: 4, seed: 1 } }
      const { model_id } = yield* run("/create_model", create)
      const tokens = [20, 40, 60]
      const data = [
        { model_input: { chunks: [{ type: "encoded_text", tokens }] }, loss_fn_inputs: targetsOf([40, 60, 80]) }
      ]
      const score = (model_path: string) =>
        Effect.map(
          run("/asample", {
            model_path,
            prompt: data[0]!.model_input,
            prompt_logprobs: true,
            sampling_params: { max_tokens: 1 }
          }),
          (sampled) => sampled.prompt_logprobs
        )
      const { path } = yield* run("/save_weights_for_sampler", { model_id, path: "x" })
      const before = yield* score(path)
      for (let step = 0; step < 3; step++) {
        yield* run("/forward_backward", { model_id, forward_backward_input: { data, loss_fn: "cross_entropy" } })
        yield* run("/optim_step", { model_id, adam_params: { learning_rate: 1e-2 } })
      }
      const other = yield* run("/save_weights_for_sampler", { model_id, path: "y" })
      const expected = yield* score(other.path)
      assert.notDeepEqual(expected, before)
      yield* http.del(`http://tinker.test/api/v1/training_runs/${model_id}/checkpoints/sampler_weights/x`)
      yield* run("/save_weights_for_sampler", { model_id, path: "x" })
      assert.deepStrictEqual(yield* score(path), expected)
    })
  )
})
