/** What samples by the path of a checkpoint get when the path names other weights, or nothing, later on. */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"
import * as training from "../utils/training.ts"
import * as users from "../utils/users.ts"

const prompt = { chunks: [{ type: "encoded_text", tokens: [1, 2, 3] }] }
const request = { num_samples: 1, prompt, prompt_logprobs: true, sampling_params: { max_tokens: 1, seed: 1 } }

/** The logprobs of the prompt, by the checkpoint at a path. */
const scoreByPath = (model_path: string) =>
  Effect.map(client.run("/asample", { ...request, model_path }), (result) => result.prompt_logprobs)

const statusByPath = (model_path: string) => client.statusOf(client.post("/asample", { ...request, model_path }))

/** A sample of a sampling session: its logprobs, or why there are none. */
const scoreBySession = (sampling_session_id: string, seq_id: number) =>
  Effect.gen(function* () {
    const { body, status } = yield* client.post("/asample", { ...request, sampling_session_id, seq_id })
    if (status !== 200) return { status, detail: body.detail as string }
    const result = yield* client.result(body.request_id)
    return { status, logprobs: result.prompt_logprobs }
  })

const sessionOf = (session_id: string, sampling_session_seq_id: number, model_path: string) =>
  Effect.map(
    client.ok(client.post("/create_sampling_session", { session_id, sampling_session_seq_id, model_path })),
    (response) => response.sampling_session_id as string
  )

const saveSampler = (model_id: string, path: string, extra: object = {}) =>
  Effect.map(client.run("/save_weights_for_sampler", { model_id, path, ...extra }), (saved) => saved.path as string)

const remove = (model: string, name: string) =>
  client.del(`/training_runs/${model}/checkpoints/sampler_weights/${name}`)

/** Saves `x`, samples it, trains on, deletes it, and saves it again. */
const saveTwice = Effect.gen(function* () {
  const session_id = yield* client.createSession
  const model = yield* client.createModel(session_id)
  const path = yield* saveSampler(model, "x")
  const session = yield* sessionOf(session_id, 0, path)
  const first = yield* scoreByPath(path)
  assert.deepStrictEqual((yield* scoreBySession(session, 0)).logprobs, first)
  yield* training.train(model, 5)
  assert.strictEqual((yield* remove(model, "x")).status, 204)
  assert.strictEqual(yield* statusByPath(path), 404)
  const deleted = yield* scoreBySession(session, 1)
  assert.strictEqual(deleted.status, 404)
  assert.strictEqual(yield* saveSampler(model, "x"), path)
  const expected = yield* scoreByPath(yield* saveSampler(model, "y"))
  assert.notDeepEqual(expected, first)
  assert.deepStrictEqual(yield* scoreByPath(path), expected)
  const replaced = yield* scoreBySession(session, 2)
  assert.strictEqual(replaced.status, 404)
  assert.include(replaced.detail, "was replaced")
  assert.deepStrictEqual((yield* scoreBySession(yield* sessionOf(session_id, 1, path), 0)).logprobs, expected)
})

const fileStore = Layer.unwrapScoped(
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return CheckpointStore.layerFileSystem(yield* fs.makeTempDirectoryScoped())
  })
).pipe(Layer.orDie, Layer.provide(NodeContext.layer))

describe("a checkpoint's path", () => {
  it.scoped("names the new weights after a sampler of that name was deleted and saved again", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.provide(saveTwice, layer)
    })
  )

  it.scoped("names the new weights in a store on disk as well", () =>
    Effect.gen(function* () {
      const { layer } = yield* TestServer.make({ checkpoints: fileStore })
      yield* Effect.provide(saveTwice, layer)
    })
  )

  it.scoped("names the new weights after another checkpoint was copied over it", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* client.createSession
        const model = yield* client.createModel(session_id)
        const copy = (source_path: string) =>
          Effect.map(
            client.ok(client.post("/copy_weights", { session_id, model_seq_id: 7, source_path })),
            (copied) => copied.tinker_path as string
          )
        const path = yield* copy(yield* saveSampler(model, "x"))
        const session = yield* sessionOf(session_id, 0, path)
        const first = yield* scoreByPath(path)
        yield* training.train(model, 5)
        yield* remove(model, "x")
        const source = yield* saveSampler(model, "x")
        const expected = yield* scoreByPath(source)
        assert.notDeepEqual(expected, first)
        assert.strictEqual(yield* copy(source), path)
        assert.deepStrictEqual(yield* scoreByPath(path), expected)
        assert.strictEqual((yield* scoreBySession(session, 0)).status, 404)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("can be used for new weights when the checkpoint has expired, which no sample gets any more", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const session_id = yield* client.createSession
        const model = yield* client.createModel(session_id)
        const path = yield* saveSampler(model, "x", { ttl_seconds: 30 })
        const session = yield* sessionOf(session_id, 0, path)
        const first = yield* scoreByPath(path)
        yield* scoreBySession(session, 0)
        yield* TestClock.adjust("31 seconds")
        assert.strictEqual(yield* statusByPath(path), 404)
        assert.strictEqual((yield* scoreBySession(session, 1)).status, 404)
        yield* training.train(model, 5)
        yield* saveSampler(model, "x")
        const expected = yield* scoreByPath(yield* saveSampler(model, "y"))
        assert.notDeepEqual(expected, first)
        assert.deepStrictEqual(yield* scoreByPath(path), expected)
        assert.strictEqual((yield* scoreBySession(session, 2)).status, 404)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("gives other users nothing once the checkpoint is unpublished, not even in their sessions", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(users.createAll)
      const publication = `/training_runs/${her.model_id}/checkpoints/sampler_weights/s/publish`
      yield* ada(client.post(publication, {}))
      const session = yield* bob(
        Effect.gen(function* () {
          const session = yield* sessionOf(yield* client.createSession, 0, her.sampler)
          assert.strictEqual((yield* scoreBySession(session, 0)).status, 200)
          assert.strictEqual(yield* statusByPath(her.sampler), 200)
          return session
        })
      )
      yield* ada(client.del(publication))
      assert.strictEqual(yield* bob(statusByPath(her.sampler)), 404)
      assert.strictEqual((yield* bob(scoreBySession(session, 1))).status, 404)
      assert.strictEqual(yield* ada(statusByPath(her.sampler)), 200)
    })
  )

  it.scoped("takes no memory for each sample, and shares one sampler of the engine", () =>
    Effect.gen(function* () {
      const { engine, layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* client.createModel(yield* client.createSession)
        const path = yield* saveSampler(model, "x")
        yield* scoreByPath(path)
        yield* scoreByPath(path)
        yield* client.run("/asample", { ...request, base_model: TestEngine.baseModel })
        assert.strictEqual((yield* engine.live).samplers, 2)
        yield* TestClock.adjust("61 seconds")
        assert.strictEqual((yield* engine.live).samplers, 0)
      }).pipe(Effect.provide(layer))
    })
  )
})
