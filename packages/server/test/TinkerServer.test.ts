import * as Datum from "@effect-tinker/api/Datum"
import * as Model from "@effect-tinker/api/Model"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as Training from "@effect-tinker/api/Training"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as client from "./utils/client.ts"

const { createModel, createSession, get, ok, post, postText } = client

const startWith = (options: Parameters<typeof client.start>[0], engine: TestEngine.Options = {}) =>
  Effect.map(client.start(options, engine), ({ layer }) => layer)

describe("TinkerServer", () => {
  it.scoped("reports its configuration and the base models it supports", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({ clientConfig: { fwdbwd_max_chunk_len: 3 } }, { models: ["a/b", "c"] })
      yield* Effect.gen(function* () {
        assert.deepStrictEqual((yield* get("/healthz")).body, { status: "ok" })
        assert.deepStrictEqual(yield* ok(post("/client/config", { sdk_version: "x" })), {
          fwdbwd_max_chunk_len: 3,
          sample_streams: true,
          drops_failed_steps: true
        })
        const { supported_models } = (yield* get("/get_server_capabilities")).body
        assert.deepStrictEqual(
          supported_models.map((model: { model_name: string }) => model.model_name),
          ["a/b", "c"]
        )
        assert.strictEqual(supported_models[0].max_context_length, TestEngine.maxContextLength)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("describes a model", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({})
      yield* Effect.gen(function* () {
        const model_id = yield* createModel(yield* createSession)
        const info = yield* ok(post("/get_info", { model_id }))
        const decoded = Schema.decodeUnknownSync(Model.GetInfoResponse)(info)
        assert.strictEqual(decoded.lora_rank, 8)
        assert.strictEqual(decoded.model_data.model_name, TestEngine.baseModel)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("lists the supported base models when asked for another, and rejects what it cannot train", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({}, { models: ["a", "b"] })
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const create = (extra: object) =>
          post("/create_model", { session_id, model_seq_id: 0, base_model: "a", ...extra })
        const unknown = yield* create({ base_model: "x" })
        assert.strictEqual(unknown.status, 400)
        assert.include(unknown.body.detail, "on offer: a, b")
        const nothing = { rank: 1, train_mlp: false, train_attn: false, train_unembed: false }
        assert.strictEqual((yield* create({ lora_config: nothing })).status, 400)
        assert.strictEqual((yield* create({ optimizer_config: { type: "dimuon", version: 1 } })).status, 400)
        assert.strictEqual((yield* create({ model_seq_id: -1 })).status, 400)
        assert.strictEqual((yield* create({ lora_config: { rank: 0 } })).status, 422)
        assert.strictEqual((yield* create({ optimizer_config: { type: "adamw" } })).status, 200)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("rejects data that the loss function cannot use, and names the invalid field", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({})
      yield* Effect.gen(function* () {
        const model_id = yield* createModel(yield* createSession)
        const good = client.datum([1, 2, 3])
        const tensor = (data: ReadonlyArray<number | null>) => ({ data, dtype: "float32", shape: [data.length] })
        const pass = (forward_backward_input: object) =>
          Effect.map(post("/forward_backward", { model_id, forward_backward_input }), ({ body, status }) => {
            assert.strictEqual(status, 400)
            return body.detail as string
          })
        const cross = (datum: object) => pass(client.input(good, datum))
        assert.match(yield* pass(client.input()), /data is empty/)
        assert.match(yield* pass({ data: [good], loss_fn: "nothing" }), /loss_fn nothing/)
        assert.match(
          yield* cross({ ...good, loss_fn_inputs: {} }),
          /^data\[1\]\.loss_fn_inputs\.target_tokens is missing/
        )
        const weights = (values: ReadonlyArray<number | null>) =>
          cross({ ...good, loss_fn_inputs: { ...good.loss_fn_inputs, weights: tensor(values) } })
        assert.match(yield* weights([1]), /^data\[1\]\.loss_fn_inputs\.weights has length 1/)
        assert.match(yield* weights([1, null]), /^data\[1\]\.loss_fn_inputs\.weights\[1\] is NaN/)
        assert.match(yield* cross(client.datum(Array.from({ length: 1030 }, () => 1))), /context length is 1024/)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("responds to malformed bodies with 422 and the path of the field, never with 500", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({})
      yield* Effect.gen(function* () {
        const rejectedDetail = (response: client.TestResponse) => {
          assert.strictEqual(response.status, 422, JSON.stringify(response.body))
          assert.isAbove(Number(response.headers["content-length"]), 0)
          assert.match(response.headers["content-type"] ?? "", /application\/json/)
          return response.body.detail as string
        }
        assert.match(rejectedDetail(yield* postText("/create_session", "{")), /JSON/)
        assert.match(rejectedDetail(yield* postText("/create_session", "")), /JSON/)
        rejectedDetail(yield* postText("/create_session", "null"))
        rejectedDetail(yield* postText("/forward_backward", "x", ProtobufCodec.contentType))
        for (const type of ["text/plain", "multipart/form-data; boundary=x", ProtobufCodec.contentType]) {
          const response = yield* postText("/create_session", "x", type)
          assert.strictEqual(response.status, 415)
          assert.include(response.body.detail, type)
        }
        assert.match(rejectedDetail(yield* post("/session_heartbeat", {})), /^session_id: is missing/)
        assert.match(rejectedDetail(yield* post("/session_heartbeat", { session_id: 3 })), /^session_id: .*string/)
        const input = (datum: unknown) => post("/forward", { model_id: "m", forward_input: client.input(datum) })
        assert.match(rejectedDetail(yield* input({ model_input: 1 })), /forward_input\.data\[0\]\.model_input/)
        const bad = client.datum([1, 2])
        const text = (tokens: unknown) => ({ ...bad, model_input: { chunks: [{ type: "encoded_text", tokens }] } })
        assert.match(
          rejectedDetail(yield* input(text(["a"]))),
          /forward_input\.data\[0\]\.model_input\.chunks\[0\].*tokens\[0\]/
        )
        rejectedDetail(yield* input(text([-1])))
        // the response is short, however many issues there are
        const long = rejectedDetail(yield* input(text(Array.from({ length: 100_000 }, () => "x"))))
        assert.isBelow(long.length, 3000)
        for (const path of [
          "/create_model",
          "/asample",
          "/optim_step",
          "/save_weights",
          "/load_weights",
          "/get_info"
        ]) {
          for (const body of [[], {}, { model_id: {} }, { sampling_params: { top_p: 7 } }])
            rejectedDetail(yield* post(path, body))
        }
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("responds to unknown paths with 404", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({})
      yield* Effect.gen(function* () {
        for (const response of [yield* get("/nothing"), yield* get("/create_session"), yield* post("/healthz", {})]) {
          assert.strictEqual(response.status, 404)
          assert.isString(response.body.detail)
          assert.isAbove(Number(response.headers["content-length"]), 0)
        }
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("requires one of its API keys if it has any", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({
        apiKeys: [Redacted.make("tml-one"), Redacted.make("tml-two"), Redacted.make("")]
      })
      yield* Effect.gen(function* () {
        const status = (headers: { readonly [name: string]: string }) =>
          Effect.map(post("/client/config", { sdk_version: "x" }, headers), (response) => response.status)
        assert.strictEqual(yield* status({ "X-API-Key": "tml-one" }), 200)
        assert.strictEqual(yield* status({ "x-api-key": "tml-two" }), 200)
        for (const key of ["", "tml-on", "tml-onee", "TML-ONE", "tml-onetml-one"]) {
          assert.strictEqual(yield* status({ "X-API-Key": key }), 401)
        }
        assert.strictEqual(yield* status({ authorization: "Bearer tml-one" }), 401)
        const unauthorized = yield* get("/nothing")
        assert.strictEqual(unauthorized.status, 401)
        assert.notInclude(JSON.stringify(unauthorized.body), "tml-")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("implements its contract: the client that is derived from it decodes responses and errors", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({})
      yield* Effect.gen(function* () {
        const api = yield* HttpApiClient.make(TinkerApi.TinkerApi, { baseUrl: "http://any.test" })
        const { session_id } = yield* api.service.createSession({
          payload: { tags: [], user_metadata: {}, sdk_version: "x", type: "create_session" }
        })
        const payload = { session_id, model_seq_id: 0, base_model: "x", type: "create_model" } as const
        const error = yield* Effect.flip(api.models.createModel({ payload }))
        assert.strictEqual(error._tag, "BadRequestResponse")
        const missing = yield* Effect.flip(
          api.service.sessionHeartbeat({ payload: { session_id: "x", type: "session_heartbeat" } })
        )
        assert.strictEqual(missing._tag, "NotFoundResponse")
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("accepts forward passes as protobuf, and sends results as protobuf to clients that accept it", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* createSession
        const model_id = yield* createModel(session_id)
        const input = { data: [Datum.fromPromptCompletion([1, 2], [3, 4])], loss_fn: "cross_entropy" }
        const pass = (seq_id: number, forward_only: boolean) =>
          Effect.flatMap(
            ProtobufCodec.encodeForwardBackwardRequest({
              forward_backward_input: input,
              model_id,
              seq_id,
              forward_only
            }),
            (bytes) =>
              ok(
                client.send(
                  HttpClientRequest.post("http://any.test/api/v1/forward_backward").pipe(
                    HttpClientRequest.bodyUint8Array(bytes, ProtobufCodec.contentType)
                  )
                )
              )
          )
        const retrieve = (request_id: string) =>
          HttpClient.execute(
            HttpClientRequest.post("http://any.test/api/v1/retrieve_future").pipe(
              HttpClientRequest.bodyUnsafeJson({ request_id }),
              HttpClientRequest.setHeader("Accept", `${ProtobufCodec.contentType}, application/json`)
            )
          )
        const forward = yield* pass(1, true)
        const both = yield* pass(2, false)
        const json = yield* client.result(both.request_id)
        const response = yield* retrieve(both.request_id)
        assert.strictEqual(response.headers["content-type"], ProtobufCodec.contentType)
        const output = yield* ProtobufCodec.decodeForwardBackwardOutput(new Uint8Array(yield* response.arrayBuffer))
        assert.deepStrictEqual(output, Schema.decodeUnknownSync(Training.ForwardBackwardOutput)(json))
        assert.deepStrictEqual(yield* client.result(forward.request_id), json)
        assert.deepStrictEqual(client.names(yield* engine.operations), ["createModel", "forward", "forwardBackward"])

        const step = yield* ok(client.optimStep(model_id))
        yield* client.result(step.request_id)
        assert.property(yield* Effect.flatMap(retrieve(step.request_id), (response) => response.json), "metrics")

        const saved = yield* client.run("/save_weights_for_sampler", { model_id })
        const sample = yield* ok(post("/asample", client.sampleRequest(saved.sampling_session_id, 0)))
        const sampled = yield* client.result(sample.request_id)
        const bytes = yield* Effect.flatMap(retrieve(sample.request_id), (response) => response.arrayBuffer)
        const decoded = yield* ProtobufCodec.decodeSampleResponse(new Uint8Array(bytes))
        assert.deepStrictEqual(Array.from(decoded.sequences[0]!.tokens), sampled.sequences[0].tokens)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("ignores unknown fields", () =>
    Effect.gen(function* () {
      const layer = yield* startWith({})
      yield* Effect.gen(function* () {
        const request = HttpClientRequest.post("http://any.test/deep/api/v1/x?y=1")
        assert.strictEqual((yield* client.send(request)).status, 404)
        yield* ok(post("/create_session", { tags: [], user_metadata: null, sdk_version: "x", more: { of: "this" } }))
      }).pipe(Effect.provide(layer))
    })
  )
})
