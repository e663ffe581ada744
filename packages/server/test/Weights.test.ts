import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as client from "./utils/client.ts"

const { createModel, createSession, ok, post, result, run } = client

const data = client.datum([1, 2, 3])

const forward = (model_id: string, ...datums: ReadonlyArray<unknown>) =>
  Effect.map(
    run("/forward", { forward_input: client.input(...(datums.length === 0 ? [data] : datums)), model_id }),
    (output) => output.metrics["loss:sum"] as number
  )

const train = (model_id: string, steps = 1) =>
  Effect.gen(function* () {
    for (let i = 0; i < steps; i++) {
      yield* run("/forward_backward", { forward_backward_input: client.input(data), model_id })
      yield* run("/optim_step", { adam_params: { learning_rate: 0.1 }, model_id })
    }
  })

const greedy = (sampling_session_id: string, seq_id: number) =>
  Effect.map(
    run(
      "/asample",
      client.sampleRequest(sampling_session_id, seq_id, { sampling_params: { max_tokens: 5, temperature: 0 } })
    ),
    ({ sequences }) => sequences[0]
  )

describe("training states", () => {
  it.scoped("restore a model, with its optimizer or without", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session, 0)
        yield* train(model, 3)
        const saved = yield* run("/save_weights", { model_id: model, path: "third" })
        assert.deepStrictEqual(saved, { path: `tinker://${model}/weights/third`, type: "save_weights" })
        const loss = yield* forward(model)
        yield* train(model)
        const next = yield* forward(model)
        assert.isBelow(next, loss)

        const whole = yield* createModel(session, 1)
        const loaded = yield* run("/load_weights", { model_id: whole, path: saved.path, optimizer: true, seq_id: 1 })
        assert.deepStrictEqual(loaded, { path: saved.path, model_id: whole, type: "load_weights" })
        assert.strictEqual(yield* forward(whole), loss)
        yield* train(whole)
        assert.strictEqual(yield* forward(whole), next)

        const weights = yield* createModel(session, 2)
        yield* run("/load_weights", { model_id: weights, path: saved.path, optimizer: false })
        assert.strictEqual(yield* forward(weights), loss)
        yield* train(weights)
        assert.notStrictEqual(yield* forward(weights), next)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are never replaced unasked, and an operation sent again gets its first answer", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        const save = { model_id: model, path: "a" }
        const first = yield* ok(post("/save_weights", { ...save, seq_id: 1 }))
        // not even while the first is on its way
        const second = yield* post("/save_weights", { ...save, seq_id: 2 })
        assert.strictEqual(second.status, 409)
        assert.include(second.body.detail, `tinker://${model}/weights/a`)
        yield* result(first.request_id)
        assert.strictEqual((yield* post("/save_weights", { ...save, seq_id: 3 })).status, 409)
        assert.deepStrictEqual(yield* ok(post("/save_weights", { ...save, seq_id: 1 })), first)
        yield* train(model)
        const loss = yield* forward(model)
        yield* run("/save_weights", { ...save, overwrite: true })
        yield* train(model)
        yield* run("/load_weights", { model_id: model, path: `tinker://${model}/weights/a`, optimizer: true })
        assert.strictEqual(yield* forward(model), loss)
        // the same name for a sampler is another checkpoint
        yield* run("/save_weights_for_sampler", save)
        assert.strictEqual((yield* post("/save_weights_for_sampler", save)).status, 409)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("must have plain names, and paths that lead to them", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const model = yield* createModel(session)
        for (const path of ["", ".", "..", "../x", "a/b", "a\\b", ".x", "a b", "x".repeat(256)]) {
          for (const endpoint of ["/save_weights", "/save_weights_for_sampler"]) {
            assert.strictEqual((yield* post(endpoint, { model_id: model, path })).status, 400, path)
          }
        }
        const load = (path: string) =>
          Effect.map(post("/load_weights", { model_id: model, path, optimizer: false }), ({ status }) => status)
        assert.strictEqual(yield* load("nowhere"), 400)
        assert.strictEqual(yield* load(`tinker://${model}/sampler_weights/x`), 400)
        assert.strictEqual(yield* load(`tinker://${model}/weights/x`), 404)
        assert.strictEqual(yield* load("tinker://../weights/x"), 404)
        const unnamed = yield* run("/save_weights", { model_id: model })
        assert.strictEqual(yield* load(unnamed.path), 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("fit no other base model and no other rank", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({}, { models: ["one", "two"] })
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const create = (model_seq_id: number, base_model: string, rank: number) =>
          run("/create_model", { session_id, model_seq_id, base_model, lora_config: { rank } })
        const { model_id } = yield* create(0, "one", 8)
        const { path } = yield* run("/save_weights", { model_id, path: "a" })
        for (const [seq, base, rank, why] of [
          [1, "two", 8, /base model one/],
          [2, "one", 4, /rank 8/]
        ] as const) {
          const other = yield* create(seq, base, rank)
          const failed = yield* run("/load_weights", { model_id: other.model_id, path, optimizer: false })
          assert.strictEqual(failed.category, "user")
          assert.match(failed.error, why)
        }
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("outlive the service in files", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped()
      const service = InProcessHttpClient.layer().pipe(
        Layer.provide([TestEngine.layer(), CheckpointStore.layerFileSystem(directory)])
      )
      const [path, loss] = yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        yield* train(model, 2)
        const saved = yield* run("/save_weights", { model_id: model, path: "kept" })
        return [saved.path as string, yield* forward(model)] as const
      }).pipe(Effect.provide(service))
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        assert.notStrictEqual(yield* forward(model), loss)
        yield* run("/load_weights", { model_id: model, path, optimizer: true })
        assert.strictEqual(yield* forward(model), loss)
      }).pipe(Effect.provide(service))
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe("samplers", () => {
  it.scoped("keep the weights of their save, named or not, while training goes on", () =>
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
        yield* train(model, 3)
        const unnamed = yield* run("/save_weights_for_sampler", { model_id: model, sampling_session_seq_id: 1 })
        assert.strictEqual(unnamed.sampling_session_id, `${session_id}:sample:1`)
        assert.notProperty(unnamed, "path")
        const named = yield* run("/save_weights_for_sampler", { model_id: model, path: "three" })
        assert.strictEqual(named.path, `tinker://${model}/sampler_weights/three`)
        assert.notProperty(named, "sampling_session_id")
        const early = yield* greedy(unnamed.sampling_session_id, 0)

        yield* train(model, 30)
        const loaded = yield* ok(
          post("/create_sampling_session", { session_id, sampling_session_seq_id: 2, model_path: named.path })
        )
        const late = yield* run("/save_weights_for_sampler", { model_id: model, sampling_session_seq_id: 3 })
        assert.deepStrictEqual(yield* greedy(unnamed.sampling_session_id, 1), early)
        assert.deepStrictEqual(yield* greedy(loaded.sampling_session_id, 0), early)
        const trained = yield* greedy(late.sampling_session_id, 0)
        assert.notDeepEqual(trained, early)
        assert.deepStrictEqual(trained.tokens[0], 3)
        assert.notDeepEqual(yield* greedy(base.sampling_session_id, 0), trained)
        // and sampling left the model as it was
        const loss = yield* forward(model)
        yield* greedy(unnamed.sampling_session_id, 2)
        assert.strictEqual(yield* forward(model), loss)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are told apart by number, and a save sent again keeps the first", () =>
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

  it.scoped("answer a request once, with an id for each sequence", () =>
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
        const status = (body: object) => Effect.map(post("/asample", body), (answer) => answer.status)
        assert.strictEqual(yield* status({ ...request, sampling_session_id: "nobody" }), 404)
        assert.strictEqual(yield* status({ ...request, seq_id: 8, prompt: { chunks: [] } }), 400)
        const tooLong = { ...request.sampling_params, max_tokens: TestEngine.maxContextLength }
        assert.strictEqual(yield* status({ ...request, seq_id: 8, sampling_params: tooLong }), 400)
        const outside = { chunks: [{ type: "encoded_text", tokens: [999] }] }
        assert.strictEqual((yield* run("/asample", { ...request, seq_id: 8, prompt: outside })).category, "user")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("work while a model trains", () =>
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
        assert.strictEqual((yield* greedy(saved.sampling_session_id, 0)).tokens.length, 5)
        yield* Deferred.succeed(gate, undefined)
        assert.property(yield* result(pass.request_id), "metrics")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("give the engine back what they do not use", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start({ samplerIdle: "1 minute" })
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        yield* train(model, 3)
        const { sampling_session_id: id } = yield* run("/save_weights_for_sampler", { model_id: model })
        const before = yield* greedy(id, 0)
        assert.strictEqual((yield* engine.live).samplers, 1)
        yield* TestClock.adjust("61 seconds")
        assert.strictEqual((yield* engine.live).samplers, 0)
        assert.deepStrictEqual(yield* greedy(id, 1), before)
      }).pipe(Effect.provide(layer))
    })
  )
})
