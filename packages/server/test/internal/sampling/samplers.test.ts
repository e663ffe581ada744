import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as TestClock from "effect/TestClock"
import * as samplers from "../../../src/internal/sampling/samplers.ts"
import type { Environment } from "../../../src/internal/work/environment.ts"
import * as futures from "../../../src/internal/work/futures.ts"
import * as client from "../../utils/client.ts"
import * as training from "../../utils/training.ts"

const { createModel, createSession, ok, post, result, run } = client

describe("samplers", () => {
  it.scoped("keep the weights that were saved while training continues", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const model = yield* createModel(session_id)
        const base = yield* ok(
          post("/create_sampling_session", {
            session_id,
            sampling_session_seq_id: 0,
            base_model: TestEngine.baseModel
          })
        )
        assert.deepStrictEqual(base, { sampling_session_id: `${session_id}:sample:0` })
        yield* training.train(model, 3)
        const unnamed = yield* run("/save_weights_for_sampler", { model_id: model, sampling_session_seq_id: 1 })
        assert.strictEqual(unnamed.sampling_session_id, `${session_id}:sample:1`)
        assert.notProperty(unnamed, "path")
        const named = yield* run("/save_weights_for_sampler", { model_id: model, path: "three" })
        assert.strictEqual(named.path, `tinker://${model}/sampler_weights/three`)
        assert.notProperty(named, "sampling_session_id")
        const early = yield* training.greedy(unnamed.sampling_session_id, 0)

        yield* training.train(model, 30)
        const loaded = yield* ok(
          post("/create_sampling_session", { session_id, sampling_session_seq_id: 2, model_path: named.path })
        )
        const late = yield* run("/save_weights_for_sampler", { model_id: model, sampling_session_seq_id: 3 })
        assert.deepStrictEqual(yield* training.greedy(unnamed.sampling_session_id, 1), early)
        assert.deepStrictEqual(yield* training.greedy(loaded.sampling_session_id, 0), early)
        const trained = yield* training.greedy(late.sampling_session_id, 0)
        assert.notDeepEqual(trained, early)
        assert.deepStrictEqual(trained.tokens[0], 3)
        assert.notDeepEqual(yield* training.greedy(base.sampling_session_id, 0), trained)
        // sampling does not change the model
        const loss = yield* training.forward(model)
        yield* training.greedy(unnamed.sampling_session_id, 2)
        assert.strictEqual(yield* training.forward(model), loss)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are created once for each sampling_session_seq_id, also by a retried save", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const model = yield* createModel(session_id)
        const save = { model_id: model, seq_id: 1 }
        const first = yield* ok(post("/save_weights_for_sampler", { ...save, sampling_session_seq_id: 0 }))
        assert.deepStrictEqual(
          yield* ok(post("/save_weights_for_sampler", { ...save, sampling_session_seq_id: 1 })),
          first
        )
        assert.strictEqual((yield* result(first.request_id)).sampling_session_id, `${session_id}:sample:0`)
        const create = (sampling_session_seq_id: number, extra: object) =>
          Effect.map(
            post("/create_sampling_session", { session_id, sampling_session_seq_id, ...extra }),
            (a) => a.status
          )
        const base_model = TestEngine.baseModel
        assert.strictEqual(yield* create(0, { base_model }), 409)
        assert.strictEqual(yield* create(1, { base_model }), 200)
        assert.strictEqual(yield* create(1, { base_model }), 200)
        assert.strictEqual(yield* create(1, { model_path: "tinker://x/sampler_weights/y" }), 409)
        assert.strictEqual(yield* create(2, { model_path: "tinker://x/sampler_weights/y" }), 404)
        assert.strictEqual(yield* create(2, { model_path: "tinker://x/weights/y" }), 400)
        assert.strictEqual(yield* create(2, {}), 400)
        assert.strictEqual(yield* create(2, { base_model: "other" }), 400)
        assert.strictEqual(yield* create(-1, { base_model }), 400)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("sample once for each seq_id, and return an id for each sequence", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const base_model = TestEngine.baseModel
        const { sampling_session_id: id } = yield* ok(
          post("/create_sampling_session", { session_id, sampling_session_seq_id: 0, base_model })
        )
        const request = client.sampleRequest(id, 7, { num_samples: 2, prompt_logprobs: true })
        const sent = yield* ok(post("/asample", request))
        assert.strictEqual(sent.request_id, `${id}:7`)
        assert.strictEqual(new Set(sent.sample_sequence_ids).size, 2)
        assert.deepStrictEqual(yield* ok(post("/asample", request)), sent)
        assert.strictEqual((yield* post("/asample", { ...request, num_samples: 3 })).status, 409)
        const sampled = yield* result(sent.request_id)
        assert.strictEqual(sampled.sequences.length, 2)
        assert.strictEqual(sampled.prompt_logprobs[0], null)
        assert.strictEqual((yield* engine.operations).filter(({ name }) => name === "sample").length, 1)

        const direct = { ...request, sampling_session_id: undefined, base_model }
        assert.deepStrictEqual((yield* run("/asample", direct)).sequences, sampled.sequences)
        const status = (body: object) => Effect.map(post("/asample", body), (response) => response.status)
        assert.strictEqual(yield* status({ ...request, sampling_session_id: "nobody" }), 404)
        assert.strictEqual(yield* status({ ...request, seq_id: 8, prompt: { chunks: [] } }), 400)
        const tooLong = { ...request.sampling_params, max_tokens: TestEngine.maxContextLength }
        assert.strictEqual(yield* status({ ...request, seq_id: 8, sampling_params: tooLong }), 400)
        const outside = { chunks: [{ type: "encoded_text", tokens: [999] }] }
        assert.strictEqual((yield* run("/asample", { ...request, seq_id: 8, prompt: outside })).category, "user")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("sample while a model trains", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { layer } = yield* client.start(
        {},
        { before: ({ name }) => (name === "forwardBackward" ? Deferred.await(gate) : Effect.void) }
      )
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const model = yield* createModel(session_id)
        const saved = yield* run("/save_weights_for_sampler", { model_id: model })
        const pass = yield* ok(client.forwardBackward(model))
        assert.strictEqual((yield* training.greedy(saved.sampling_session_id, 0)).tokens.length, 5)
        yield* Deferred.succeed(gate, undefined)
        assert.property(yield* result(pass.request_id), "metrics")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("exist once their save has run, and count no more when their session ends before", () =>
    Effect.gen(function* () {
      const { layer, open } = yield* client.startGated("adapter", { maxSamplers: 1 })
      yield* Effect.gen(function* () {
        const [session, other] = [yield* createSession, yield* createSession]
        const model = yield* createModel(session)
        yield* ok(post("/save_weights_for_sampler", { model_id: model, seq_id: 1 }))
        const id = `${session}:sample:0`
        const early = yield* post("/asample", client.sampleRequest(id, 1))
        assert.deepStrictEqual([early.status, early.body.detail], [404, `there is no sampling session ${id}`])
        const create = (sampling_session_seq_id: number) =>
          client.statusOf(
            post("/create_sampling_session", {
              session_id: other,
              sampling_session_seq_id,
              base_model: TestEngine.baseModel
            })
          )
        assert.strictEqual(yield* create(0), 409)
        yield* post(`/sessions/${session}/finish`, { reason: { type: "success" } })
        yield* open
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual([yield* create(0), yield* create(1)], [200, 409])
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are in the engine once for each id, also where ids have the same hash", () =>
    Effect.gen(function* () {
      let created = 0
      const environment = {
        settings: { samplerIdle: Duration.minutes(1) },
        engine: { createSampler: () => Effect.sync(() => ++created) },
        futures: new futures.Futures(Duration.hours(1))
      } as unknown as Environment
      const all = yield* samplers.make(environment)
      const source = { base_model: "one" }
      const record = (id: string) => all.makeRecord({ id, session: undefined, fingerprint: undefined, source })
      const [one, other] = ["si3i8hs:sample:0", "siqk8hs:sample:0"] as const
      assert.strictEqual(Hash.string(one), Hash.string(other))
      const numbers = yield* Effect.forEach([one, other, one, "x"], (id) => all.engineSampler(record(id)))
      assert.deepStrictEqual(numbers as ReadonlyArray<unknown>, [1, 2, 1, 3])
      // samples outside of sessions share one load for each user
      assert.strictEqual(all.loadOf({ id: "ada" }), all.loadOf({ id: "ada" }))
      assert.notStrictEqual(all.loadOf({ id: "ada" }), all.loadOf({ id: "bob" }))
    })
  )

  it.scoped("release what they hold in the engine when they are idle", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start({ samplerIdle: "1 minute" })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        yield* training.train(model, 3)
        const { sampling_session_id: id } = yield* run("/save_weights_for_sampler", { model_id: model })
        const before = yield* training.greedy(id, 0)
        assert.strictEqual((yield* engine.live).samplers, 1)
        yield* TestClock.adjust("61 seconds")
        assert.strictEqual((yield* engine.live).samplers, 0)
        assert.deepStrictEqual(yield* training.greedy(id, 1), before)
      }).pipe(Effect.provide(layer))
    })
  )
})
