import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as Zstd from "@effect-tinker/api/Zstd"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as client from "./utils/client.ts"

const { createModel, createSession, ok, post, result, run, statusOf } = client

const postBytes = (path: string, body: Uint8Array, headers: { readonly [name: string]: string }) =>
  client.send(
    HttpClientRequest.post(`http://tinker.test/api/v1${path}`).pipe(
      HttpClientRequest.bodyUint8Array(body, "application/json"),
      HttpClientRequest.setHeaders(headers)
    )
  )

const sampler = (session_id: string) =>
  Effect.map(
    ok(post("/create_sampling_session", { session_id, sampling_session_seq_id: 0, base_model: "effect-tinker/test" })),
    ({ sampling_session_id }) => sampling_session_id as string
  )

describe("the operations beside training", () => {
  it.scoped("take flags and telemetry, and say truly what they do not do", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* ok(post("/client/dynamic_config", { sdk_version: "test" })), {})
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

  it.scoped("finish a session, whose first reason stays", () =>
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

  it.scoped("unload a model, and nothing of it runs any more", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* createModel(yield* createSession)
        assert.deepStrictEqual(yield* run("/unload_model", { model_id: model }), {
          model_id: model,
          type: "unload_model"
        })
        assert.strictEqual((yield* engine.live).models, 0)
        const failed = yield* run("/optim_step", { adam_params: {}, model_id: model })
        assert.deepStrictEqual(failed, { error: `model ${model} was unloaded`, category: "user" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("refuse the step of an optimizer that the model has not, and go on", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model_id = yield* createModel(yield* createSession)
        const step = { optimizer_params: { type: "dimuon", learning_rate: 0.1 }, model_id, seq_id: 1 }
        const refused = yield* post("/optim_step", step)
        assert.strictEqual(refused.status, 400)
        assert.include(refused.body.detail, "dimuon")
        const malformed = yield* post("/optim_step", { adam_params: { beta1: "x" }, model_id, seq_id: 2 })
        assert.strictEqual(malformed.status, 422)
        assert.match(malformed.body.detail, /^adam_params\.beta1: /)
        yield* ok(client.optimStep(model_id, 3))
        yield* result(`${model_id}:3`)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("create a model from a checkpoint, with its optimizer or without", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const first = yield* createModel(session_id)
        const step = Effect.fnUntraced(function* (model_id: string, seq_id: number) {
          yield* ok(client.forwardBackward(model_id, seq_id))
          yield* ok(client.optimStep(model_id, seq_id + 1))
          const { metrics } = yield* run("/forward", { forward_input: client.input(client.datum([1, 2, 3])), model_id })
          return metrics["loss:sum"] as number
        })
        yield* step(first, 1)
        const { path } = yield* run("/save_weights", { model_id: first, path: "a" })
        const next = yield* step(first, 5)

        const load = { session_id, model_seq_id: 1, path, optimizer: true, type: "load_weights" }
        const model_id = `${session_id}:train:1`
        assert.deepStrictEqual(yield* run("/load_weights", load), { path, model_id, type: "load_weights" })
        assert.strictEqual((yield* ok(post("/get_info", { model_id }))).lora_rank, 8)
        assert.strictEqual(yield* step(model_id, 1), next)
        // the same again is the same, another under its number is not
        assert.strictEqual((yield* ok(post("/load_weights", load))).request_id, `${model_id}:0`)
        assert.strictEqual(yield* statusOf(post("/load_weights", { ...load, optimizer: false })), 409)

        yield* run("/load_weights", { ...load, model_seq_id: 2, optimizer: false })
        assert.notStrictEqual(yield* step(`${session_id}:train:2`, 1), next)

        const refused = (changes: object) => statusOf(post("/load_weights", { ...load, model_seq_id: 3, ...changes }))
        assert.strictEqual(yield* refused({ base_model: "another" }), 400)
        assert.strictEqual(yield* refused({ path: `tinker://${first}/weights/none` }), 404)
        assert.strictEqual(yield* refused({ path: "elsewhere" }), 400)
        assert.strictEqual(yield* refused({ optimizer_config: { type: "dimuon" } }), 400)
        assert.strictEqual(yield* refused({ optimizer: 1 }), 422)
        assert.strictEqual(yield* refused({ session_id: "none" }), 404)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("samples of a session", () => {
  it.scoped("are waited for together", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ longPoll: "5 seconds" })
      yield* Effect.gen(function* () {
        const sampling_session_id = yield* sampler(yield* createSession)
        const target = { type: "sampling_session", sampling_session_id, cloned_sampler_id: 0 }
        const waiting = yield* Effect.fork(ok(post("/retrieve_futures", { target, prev_cursor: 0 })))
        const { request_id } = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 1)))
        const { completions, cursor } = yield* Fiber.join(waiting)
        assert.strictEqual(cursor, 1)
        assert.strictEqual(completions[0].request_id, request_id)
        assert.strictEqual(completions[0].state, "finished")
        assert.isAbove(completions[0].response_payload_uncompressed_size, 0)
        yield* result(request_id)

        // nothing more, and what has arrived is let go
        const later = yield* Effect.fork(
          ok(post("/retrieve_futures", { target, prev_cursor: 1, retrieved_request_ids: [request_id] }))
        )
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* Fiber.join(later), { completions: [], cursor: 1 })
        assert.strictEqual(yield* statusOf(client.poll(request_id)), 410)

        // a client that joins counts for itself
        const joined = yield* ok(post("/join_sampling_session", { sampling_session_id }))
        assert.strictEqual(joined.client_counter, 1)
        const own = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 1e9 + 1)))
        yield* result(own.request_id)
        const found = yield* ok(post("/retrieve_futures", { target: { ...target, cloned_sampler_id: 1 }, timeout: 0 }))
        assert.strictEqual(found.completions[0].request_id, own.request_id)
        assert.strictEqual(yield* statusOf(post("/join_sampling_session", { sampling_session_id: "none" })), 404)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("can be cancelled, and other operations cannot", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({}, { before: () => Effect.sleep("1 hour") })
      yield* Effect.gen(function* () {
        const session = yield* createSession
        const sampling_session_id = yield* sampler(session)
        const { request_id } = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 1)))
        assert.strictEqual(yield* statusOf(post("/cancel_future", { request_id })), 204)
        const failed = yield* result(request_id)
        assert.deepStrictEqual(failed, { error: "the request was cancelled", category: "user" })
        assert.strictEqual(yield* statusOf(post("/cancel_future", { request_id: "none" })), 404)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("compressed bodies", () => {
  it.scoped("are read, within bounds", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ maxCompressedSize: 4096, maxDecompressedSize: 100_000 })
      yield* Effect.gen(function* () {
        const zstd = yield* Zstd.make
        const model_id = yield* createModel(yield* createSession)
        const text = JSON.stringify({ forward_backward_input: client.input(client.datum([1, 2])), model_id, seq_id: 1 })
        const encoding = { "content-encoding": "zstd" }
        const body = yield* zstd.compress(new TextEncoder().encode(text))
        const { request_id } = yield* ok(postBytes("/forward_backward", body, encoding))
        assert.property(yield* result(request_id), "metrics")

        const send = (bytes: Uint8Array) => postBytes("/forward_backward", bytes, encoding)
        assert.strictEqual(yield* statusOf(send(yield* zstd.compress(new Uint8Array(100_001)))), 413)
        assert.strictEqual(yield* statusOf(send(new Uint8Array(5000))), 413)
        assert.strictEqual(yield* statusOf(send(body.slice(0, 20))), 422)
        assert.strictEqual(yield* statusOf(send(new Uint8Array([1, 2, 3]))), 422)
        assert.strictEqual(yield* statusOf(postBytes("/optim_step", body, { "content-encoding": "gzip" })), 415)
        const junk = yield* zstd.compress(new TextEncoder().encode("{"))
        assert.strictEqual(yield* statusOf(send(junk)), 422)
        const protobuf = { ...encoding, "content-type": ProtobufCodec.contentType }
        assert.strictEqual(yield* statusOf(postBytes("/forward_backward", junk, protobuf)), 422)
      }).pipe(Effect.provide(layer))
    })
  )
})
