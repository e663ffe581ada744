import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"
import { listen } from "../../utils/nodeServer.ts"
import { sendEndlessly } from "../../utils/rawHttp.ts"

// the adapter of the test engine with rank 8, and with the state of its optimizer
const sizes = Effect.gen(function* () {
  const { layer } = yield* client.start()
  return yield* Effect.gen(function* () {
    const model = yield* client.createModel(yield* client.createSession)
    yield* client.run("/save_weights", { model_id: model, seq_id: 1, path: "a" })
    yield* client.run("/save_weights_for_sampler", { model_id: model, seq_id: 2, path: "a" })
    const { checkpoints } = yield* client.ok(client.get("/checkpoints"))
    const sizeOf = (type: string) =>
      checkpoints.find((found: { checkpoint_type: string }) => found.checkpoint_type === type).size_bytes as number
    return { state: sizeOf("training"), adapter: sizeOf("sampler") }
  }).pipe(Effect.provide(layer))
})

describe("the quota of a user", () => {
  it.scoped("rejects a save that does not fit with 507 and the numbers, and runs no part of it", () =>
    Effect.gen(function* () {
      const { adapter, state } = yield* sizes
      const { layer } = yield* client.start({ quota: state + adapter })
      yield* Effect.gen(function* () {
        const model = yield* client.createModel(yield* client.createSession)
        yield* client.run("/save_weights", { model_id: model, seq_id: 1, path: "a" })
        const full = yield* client.post("/save_weights", { model_id: model, seq_id: 2, path: "b" })
        assert.strictEqual(full.status, 507)
        assert.strictEqual(full.headers["x-should-retry"], "false")
        assert.include(
          full.body.detail,
          `of ${state} bytes does not fit: your checkpoints use ${state} of ${state + adapter}`
        )
        // the seq_id is used up
        const sampler = yield* client.run("/save_weights_for_sampler", { model_id: model, seq_id: 3, path: "c" })
        assert.isString(sampler.path)
        // what it replaces does not count
        const again = yield* client.run("/save_weights", { model_id: model, seq_id: 4, path: "a", overwrite: true })
        assert.isString(again.path)
        const copy = yield* client.post("/copy_weights", { source_path: again.path, destination_project_id: "p" })
        assert.strictEqual(copy.status, 507)
        // a deleted checkpoint makes room
        assert.strictEqual((yield* client.del(`/training_runs/${model}/checkpoints/weights/a`)).status, 204)
        assert.isString((yield* client.run("/save_weights", { model_id: model, seq_id: 5, path: "b" })).path)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("bounds saves that are queued at the same time", () =>
    Effect.gen(function* () {
      const { state } = yield* sizes
      const { layer } = yield* client.start({ quota: state * 2 })
      yield* Effect.gen(function* () {
        const session = yield* client.createSession
        const models = yield* Effect.forEach([0, 1, 2, 3], (i) => client.createModel(session, i))
        const saved = yield* Effect.forEach(
          models,
          (model_id) =>
            Effect.flatMap(client.ok(client.post("/save_weights", { model_id, seq_id: 1 })), ({ request_id }) =>
              client.result(request_id)
            ),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(saved.filter(({ path }) => path !== undefined).length, 2)
        const failed = saved.find(({ error }) => error !== undefined)
        assert.include(failed.error, "does not fit")
        assert.strictEqual(failed.category, "user")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("rejects an upload before it begins", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ quota: 10 })
      const response = yield* client
        .post("/external_weights_upload_start", {
          base_model: "effect-tinker/test",
          lora_config: { rank: 8, train_attn: true, train_mlp: true, train_unembed: true },
          destination_project_id: "p"
        })
        .pipe(Effect.provide(layer))
      assert.strictEqual(response.status, 507, JSON.stringify(response.body))
    })
  )

  it.scopedLive("ends an upload while its bytes arrive, once they exceed what is left", () =>
    Effect.gen(function* () {
      const { adapter } = yield* sizes
      const port = yield* listen({ quota: adapter })
      const { layer } = FetchHttpClient
      const url = `http://127.0.0.1:${port}/api/v1`
      const post = (path: string, body: object) =>
        Effect.flatMap(
          HttpClient.execute(HttpClientRequest.bodyUnsafeJson(HttpClientRequest.post(`${url}${path}`), body)),
          (response) => Effect.map(response.json, (json) => json as Record<string, string>)
        )
      const run = (path: string, body: object) =>
        Effect.flatMap(post(path, body), ({ request_id }) => post("/retrieve_future", { request_id }))
      const upload = yield* Effect.gen(function* () {
        const { session_id } = yield* post("/create_session", { tags: [], user_metadata: {}, sdk_version: "t" })
        const base_model = "effect-tinker/test"
        const { model_id } = yield* run("/create_model", {
          session_id,
          model_seq_id: 0,
          base_model,
          lora_config: { rank: 8 }
        })
        const started = yield* post("/external_weights_upload_start", {
          base_model,
          lora_config: { rank: 8, train_attn: true, train_mlp: true, train_unembed: true }
        })
        // the upload fitted when it began: now nothing is left
        yield* run("/save_weights_for_sampler", { model_id, seq_id: 1, path: "s" })
        return (started["urls"] as unknown as Record<string, string>)["adapter_model.safetensors"]!
      }).pipe(Effect.provide(layer))
      // a chunked body that does not end: the response comes while it is being sent
      const { pathname, search } = new URL(upload)
      const { received, sent } = yield* sendEndlessly(port, `PUT ${pathname}${search}`, "application/octet-stream", 64)
      assert.match(received, /^HTTP\/1\.1 507 /)
      assert.include(received, `is larger than the ${2 ** 20} bytes that are left of your quota`)
      assert.isBelow(sent, 64)
    })
  )
})
