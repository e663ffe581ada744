import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Record from "effect/Record"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"
import * as users from "../../utils/users.ts"

const { ok, post, run } = client

const lora_config = { rank: 8, train_attn: true, train_mlp: true, train_unembed: true }
const start = (extra: object = {}) =>
  post("/external_weights_upload_start", { base_model: "effect-tinker/test", lora_config, ...extra })
const finish = (upload_id: string) => post("/external_weights_upload_finish", { upload_id })

const configName = "adapter_config.json"
const adapterName = "adapter_model.safetensors"

const putFile = (url: string, bytes: Uint8Array) =>
  client.send(HttpClientRequest.put(url).pipe(HttpClientRequest.bodyUint8Array(bytes, "application/octet-stream")))

const fetchBytes = (url: string) =>
  Effect.map(
    Effect.flatMap(HttpClient.get(url), ({ arrayBuffer }) => Effect.orDie(arrayBuffer)),
    (buffer) => new Uint8Array(buffer)
  ).pipe(Effect.orDie)

/** Trains a model, saves its adapter for PEFT, and samples from it. */
const trained = Effect.gen(function* () {
  const session_id = yield* client.createSession
  const model_id = yield* client.createModel(session_id)
  for (let step = 0; step < 5; step++) {
    yield* ok(client.forwardBackward(model_id, undefined, [client.datum([1, 2, 7, 7, 7])]))
    yield* ok(client.optimStep(model_id))
  }
  const { path } = yield* run("/save_weights_external", { model_id, path: "out" })
  const { urls } = yield* ok(
    client.get(`/training_runs/${model_id}/checkpoints/external_weights/out/external_weights_urls`)
  )
  const { sampling_session_id } = yield* run("/save_weights_for_sampler", { model_id })
  return {
    path: path as string,
    session_id,
    files: { adapter: yield* fetchBytes(urls[adapterName]), config: yield* fetchBytes(urls[configName]) },
    sampled: yield* run("/asample", client.sampleRequest(sampling_session_id, 0))
  }
})

const upload = (
  files: { readonly adapter?: Uint8Array; readonly config?: Uint8Array },
  extra: object = {}
): Effect.Effect<client.TestResponse, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const { upload_id, urls } = yield* ok(start(extra))
    if (files.adapter !== undefined) assert.strictEqual((yield* putFile(urls[adapterName], files.adapter)).status, 200)
    if (files.config !== undefined) assert.strictEqual((yield* putFile(urls[configName], files.config)).status, 200)
    return yield* finish(upload_id)
  })

describe("uploaded adapters", () => {
  it.scoped("sample like the original, and are found in their project", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { files, sampled, session_id } = yield* trained
        const { upload_id, urls } = yield* ok(start({ destination_project_id: "p-1" }))
        assert.deepStrictEqual(Object.keys(urls).sort(), [configName, adapterName])
        // a later file replaces an earlier one
        yield* putFile(urls[configName], new Uint8Array(3))
        yield* putFile(urls[configName], files.config)
        yield* putFile(urls[adapterName], files.adapter)
        const { tinker_path } = yield* ok(finish(upload_id))
        assert.deepStrictEqual(yield* ok(finish(upload_id)), { tinker_path }, "a retry returns the same path")
        assert.strictEqual((yield* putFile(urls[adapterName], files.adapter)).status, 409)

        const { sampling_session_id } = yield* ok(
          post("/create_sampling_session", { session_id, sampling_session_seq_id: 7, model_path: tinker_path })
        )
        const again = yield* run("/asample", client.sampleRequest(sampling_session_id, 0))
        assert.deepStrictEqual(again.sequences[0].tokens, sampled.sequences[0].tokens)
        assert.deepStrictEqual(again.sequences[0].logprobs, sampled.sequences[0].logprobs)

        const found = yield* ok(post("/checkpoints/search", { project_ids: ["p-1"] }))
        assert.deepStrictEqual(
          found.checkpoints.map((one: { readonly tinker_path: string }) => one.tinker_path),
          [tinker_path]
        )
        const info = yield* ok(post("/weights_info", { tinker_path }))
        assert.deepInclude(info, { base_model: "effect-tinker/test", lora_rank: 8 })
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are rejected with the reason, and nothing is stored", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { files } = yield* trained
        const before = (yield* ok(client.get("/checkpoints"))).checkpoints.length
        const config = JSON.parse(new TextDecoder().decode(files.config)) as object
        const withConfig = (changes: object) => ({
          adapter: files.adapter,
          config: new TextEncoder().encode(JSON.stringify({ ...config, ...changes }))
        })
        const withTensors = (
          reshape: (shape: ReadonlyArray<number>) => ReadonlyArray<number>,
          value: () => number
        ): Uint8Array => {
          const { tensors } = Either.getOrThrow(SafeTensors.decode(files.adapter))
          return SafeTensors.encode(
            Record.map(tensors, (tensor) => {
              const shape = reshape(tensor.shape)
              const size = shape.reduce((product, dimension) => product * dimension, 1)
              return { shape, data: new Float32Array(size).fill(value()) }
            })
          )
        }
        for (const [given, reason] of [
          [{ config: files.config }, /adapter_model.safetensors has not been uploaded/],
          [{ adapter: files.adapter }, /adapter_config.json has not been uploaded/],
          [{ adapter: files.adapter, config: new Uint8Array(4) }, /^adapter_config.json: /],
          [withConfig({ r: 4 }), /r is 4, but lora_config.rank is 8/],
          [withConfig({ peft_type: "IA3" }), /^adapter_config.json: /],
          [withConfig({ use_dora: true }), /^adapter_config.json: use_dora: is set/],
          [withConfig({ rank_pattern: { q_proj: 2 } }), /^adapter_config.json: /],
          [withConfig({ lora_alpha: -1 }), /^adapter_config.json: lora_alpha: /],
          [
            {
              adapter: withTensors(
                ([a, b]) => [a! * b!, 1],
                () => 0
              ),
              config: files.config
            },
            /^adapter_model.*shape/
          ],
          [
            {
              adapter: withTensors(
                (shape) => shape,
                () => Number.NaN
              ),
              config: files.config
            },
            /is not finite/
          ],
          [withConfig({ modules_to_save: ["lm_head"] }), /^adapter_config.json: /],
          [{ adapter: files.adapter.subarray(0, 40), config: files.config }, /^adapter_model.safetensors: /],
          [{ adapter: new TextEncoder().encode("\u0002\0\0\0\0\0\0\0{}"), config: files.config }, /^adapter_model/]
        ] as const) {
          const { body, status } = yield* upload(given)
          assert.strictEqual(status, 400, String(reason))
          assert.match(body.detail, reason)
          // a rejected upload stays until it expires, so that its files can be corrected
          yield* TestClock.adjust("61 minutes")
        }
        assert.strictEqual((yield* start({ base_model: "nope" })).status, 400)
        assert.strictEqual((yield* start({ lora_config: { ...lora_config, rank: 0 } })).status, 422)
        const nothing = { rank: 8, train_attn: false, train_mlp: false, train_unembed: false }
        assert.strictEqual((yield* start({ lora_config: nothing })).status, 400)
        assert.strictEqual((yield* finish("nope")).status, 404)
        const { upload_id, urls } = yield* ok(start())
        const [url, other] = [urls[configName] as string, urls[adapterName] as string]
        assert.strictEqual((yield* putFile(url.replace(/signature=\w+/, "signature=0"), files.config)).status, 403)
        assert.strictEqual((yield* putFile(url.replace(configName, "x"), files.config)).status, 403)
        assert.strictEqual((yield* putFile(url.replace(/\?.*/, other.replace(/.*\?/, "?")), files.config)).status, 403)
        const large = yield* putFile(url, new Uint8Array(2 ** 20 + 1))
        assert.strictEqual(large.status, 400)
        assert.match(large.body.detail, /larger than/)
        for (let i = 0; i < 3; i++) yield* ok(start())
        assert.strictEqual((yield* start()).status, 429, "uploaded files are stored until they expire")
        yield* TestClock.adjust("61 minutes")
        assert.strictEqual((yield* putFile(url, files.config)).status, 410)
        assert.strictEqual((yield* finish(upload_id)).status, 404)
        assert.strictEqual((yield* ok(client.get("/checkpoints"))).checkpoints.length, before)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("belong to the user who uploaded them, and copies need a key of the owner of the weights", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const { files, session_id } = yield* ada(trained)
      const model_id = `${session_id}:train:0`
      const { path: source_path } = yield* ada(run("/save_weights", { model_id, path: "state" }))
      const { upload_id } = yield* ada(ok(start()))
      yield* bob(
        Effect.gen(function* () {
          assert.strictEqual((yield* finish(upload_id)).status, 404)
          const { body } = yield* upload(files)
          const [mine] = (yield* ok(client.get("/checkpoints"))).checkpoints
          assert.strictEqual(mine.tinker_path, body.tinker_path)

          const copy = { source_path, destination_project_id: "p-2" }
          const access = (token: string) => ({ "x-tinker-weights-access-token": token })
          assert.strictEqual((yield* post("/copy_weights", copy)).status, 404)
          assert.strictEqual((yield* post("/copy_weights", copy, access("tml-eve"))).status, 403)
          const { tinker_path } = yield* ok(post("/copy_weights", copy, access("tml-ada")))
          assert.match(tinker_path, /^tinker:\/\/[^/]+\/weights\/state$/)
          const found = yield* ok(post("/checkpoints/search", { project_ids: ["p-2"] }))
          assert.strictEqual(found.checkpoints[0].tinker_path, tinker_path)

          const own = yield* client.createSession
          const load = { session_id: own, path: source_path, optimizer: true }
          assert.strictEqual((yield* post("/load_weights", { ...load, model_seq_id: 0 })).status, 404)
          const loaded = yield* run("/load_weights", { ...load, model_seq_id: 1, weights_access_token: "tml-ada" })
          assert.strictEqual(loaded.model_id, `${own}:train:1`)
        })
      )
    })
  )
})
