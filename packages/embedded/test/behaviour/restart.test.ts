import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Embedded from "../../src/Embedded.ts"
import * as requests from "../utils/requests.ts"

const { createModel, createSession, del, get, ok, pass, post, put, run, sample, step } = requests

/** Where a service keeps what outlives it, and how its process ends. */
interface Home {
  readonly store: Layer.Layer<Store.Store>
  readonly checkpoints: Layer.Layer<CheckpointStore.CheckpointStore, never, Store.Store>
  readonly kill: Effect.Effect<void>
}

const inMemory = Effect.gen(function* () {
  const { kill, layer } = yield* Store.makeMemory()
  const checkpoints = Layer.succeed(CheckpointStore.CheckpointStore, yield* CheckpointStore.makeMemory)
  return { store: layer, checkpoints, kill } satisfies Home
})

const inDirectory = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  return {
    store: Layer.fresh(Embedded.layerStore(directory)).pipe(Layer.provide(NodeContext.layer), Layer.orDie),
    checkpoints: Layer.fresh(CheckpointStore.layerFileSystem(directory)).pipe(Layer.provide(NodeContext.layer)),
    kill: Effect.void,
    directory
  } satisfies Home & { readonly directory: string }
})

/** Runs a program with a service that ends with it. */
const serve = <A, E>(
  { checkpoints, kill, store }: Home,
  program: (http: TestServer.TestServer) => Effect.Effect<A, E>
) =>
  Effect.acquireUseRelease(
    Scope.make(),
    (scope) => Effect.flatMap(Scope.extend(TestServer.make({ store, checkpoints }), scope), program),
    (scope) => Effect.andThen(kill, Scope.close(scope, Exit.void))
  )

/** What the service answers of everything that it acknowledged. */
const answers = (session: string, model: string, sampler: string) =>
  Effect.all({
    session: ok(get(`/sessions/${session}`)),
    found: ok(post("/sessions/search", { session_id: session })),
    run: ok(get(`/training_runs/${model}`)),
    checkpoints: ok(get(`/training_runs/${model}/checkpoints`)),
    sampler: ok(get(`/samplers/${sampler}`)),
    audit: ok(get("/audit?event_type=all")),
    storage: ok(get("/billing/usage/checkpoints/current"))
  })

const checkRestart = (home: Home) =>
  Effect.gen(function* () {
    const before = yield* serve(home, ({ layer }) =>
      Effect.gen(function* () {
        const { session_id } = yield* createSession
        const { model_id } = yield* createModel(session_id, 0)
        yield* pass(model_id, 1)
        yield* step(model_id, 2)
        const { path } = yield* run("/save_weights", { model_id, seq_id: 3, path: "a" })
        const { path: model_path } = yield* run("/save_weights_for_sampler", { model_id, seq_id: 4, path: "s" })
        yield* run("/save_weights", { model_id, seq_id: 5, path: "gone" })
        yield* ok(del(`/training_runs/${model_id}/checkpoints/weights/gone`))
        const { sampling_session_id } = yield* ok(
          post("/create_sampling_session", { session_id, sampling_session_seq_id: 7, model_path })
        )
        const sampled = yield* run("/asample", sample(sampling_session_id, 0))
        const inMemory = yield* run("/save_weights_for_sampler", { model_id, seq_id: 6 })
        for (const seq of [7, 8, 9]) yield* step(model_id, seq)
        const { request_id } = yield* ok(post("/optim_step", { model_id, seq_id: 10, adam_params: {} }))
        yield* ok(post("/retrieve_future", { request_id, allow_metadata_only: false }))
        const answered = yield* answers(session_id, model_id, sampling_session_id)
        const ephemeral = inMemory.sampling_session_id as string
        return { session_id, model_id, path, sampling_session_id, sampled, ephemeral, request_id, answered }
      }).pipe(Effect.provide(layer))
    )
    yield* serve(home, ({ layer }) =>
      Effect.gen(function* () {
        const { answered, model_id, path, sampling_session_id, session_id } = before
        assert.strictEqual(answered.found.sessions[0].status.type, "active")
        assert.deepStrictEqual(yield* answers(session_id, model_id, sampling_session_id), answered)
        // the session goes on, and so does sampling from a checkpoint
        yield* ok(post("/session_heartbeat", { session_id, type: "session_heartbeat" }))
        assert.deepStrictEqual(yield* run("/asample", sample(sampling_session_id, 0)), before.sampled)
        const lost = yield* post("/asample", sample(before.ephemeral, 0))
        assert.strictEqual(lost.status, 404)
        assert.include(lost.body.detail, "ended with the process")
        // what was not saved is lost, and the client is told what
        const expected = { model_id, last_saved: path, steps_lost: 4 }
        const later = yield* post("/optim_step", { model_id, seq_id: 11, adam_params: {} })
        assert.strictEqual(later.status, 404)
        assert.deepStrictEqual(later.body.model_lost, expected)
        const poll = yield* post("/retrieve_future", { request_id: before.request_id, allow_metadata_only: false })
        assert.strictEqual(poll.status, 404)
        assert.deepStrictEqual(poll.body.model_lost, expected)
        const load = { session_id, model_seq_id: 1, path, optimizer: true, type: "load_weights" }
        const again = yield* run("/load_weights", load)
        assert.strictEqual((yield* pass(again.model_id, 1)).loss_fn_output_type, "logprobs")
        assert.strictEqual(
          (yield* post("/create_sampling_session", {
            session_id,
            sampling_session_seq_id: 7,
            base_model: "effect-tinker/test"
          })).status,
          409
        )
        yield* ok(put(`/sessions/${session_id}/project`, { project_id: "p" }))
      }).pipe(Effect.provide(layer))
    )
    // a model that only was loaded has lost nothing
    yield* serve(home, ({ layer }) =>
      Effect.gen(function* () {
        const { body } = yield* post("/optim_step", {
          model_id: `${before.session_id}:train:1`,
          seq_id: 1,
          adam_params: {}
        })
        assert.deepStrictEqual(body.model_lost, {
          model_id: `${before.session_id}:train:1`,
          last_saved: before.path,
          steps_lost: 0
        })
      }).pipe(Effect.provide(layer))
    )
  })

const checkUploads = (home: Home) =>
  Effect.gen(function* () {
    const before = yield* serve(home, ({ layer }) =>
      Effect.gen(function* () {
        const { session_id } = yield* createSession
        const { model_id } = yield* createModel(session_id, 0)
        const { adapter, config } = yield* requests.saveFiles(model_id, 1)
        const begun = yield* ok(requests.startUpload)
        assert.strictEqual(yield* requests.putFile(begun.urls[requests.adapterName], adapter), 200)
        return { begun, config }
      }).pipe(Effect.provide(layer))
    )
    const { begun, config } = before
    const finished = yield* serve(home, ({ layer }) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* requests.putFile(begun.urls[requests.configName], config), 200)
        return yield* ok(requests.finishUpload(begun.upload_id))
      }).pipe(Effect.provide(layer))
    )
    yield* serve(home, ({ layer }) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          yield* ok(requests.finishUpload(begun.upload_id)),
          finished,
          "a retry returns the same path"
        )
        const { checkpoints } = yield* ok(get("/checkpoints"))
        const uploaded = checkpoints.filter(({ tinker_path }: requests.Json) => tinker_path.endsWith("uploaded"))
        assert.deepStrictEqual(
          uploaded.map(({ tinker_path }: requests.Json) => tinker_path),
          [finished.tinker_path]
        )
        assert.strictEqual(yield* requests.putFile(begun.urls[requests.configName], config), 409)
      }).pipe(Effect.provide(layer))
    )
  })

describe("uploads", () => {
  it.scoped("go on after a restart: in memory", () => Effect.flatMap(inMemory, checkUploads))

  it.scopedLive("go on after a restart: in a directory, which keeps no file of one that is finished", () =>
    Effect.gen(function* () {
      const home = yield* inDirectory
      yield* checkUploads(home)
      const fs = yield* FileSystem.FileSystem
      assert.deepStrictEqual(yield* fs.readDirectory(`${home.directory}/.uploads`), [])
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe("users", () => {
  it.scoped("are known after a restart, since they created their first session", () =>
    Effect.gen(function* () {
      const { checkpoints, store } = yield* inMemory
      const serveKeys = (keys: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const { client } = yield* TestServer.make({
            store,
            checkpoints,
            apiKeys: keys.map((key) => Redacted.make(key))
          })
          const as = (key: string) => HttpClient.mapRequest(client, HttpClientRequest.setHeader("x-api-key", key))
          for (const key of keys) yield* Effect.provideService(createSession, HttpClient.HttpClient, as(key))
        }).pipe(Effect.scoped)
      yield* serveKeys(["tml-ada", "tml-bob"])
      yield* TestClock.adjust("1 hour")
      yield* serveKeys(["tml-bob", "tml-carol"])
      const { users } = yield* Effect.map(Layer.build(store), Context.get(Store.Store))
      assert.deepStrictEqual((yield* users.list()).map(({ first_seen }) => first_seen).sort(), [0, 0, 3_600_000])
    })
  )
})

describe("a service that starts again", () => {
  it.scoped("has all that it acknowledged, and tells what was lost: in memory", () =>
    Effect.flatMap(inMemory, checkRestart)
  )

  it.scopedLive("has all that it acknowledged, and tells what was lost: in SQLite", () =>
    Effect.flatMap(inDirectory, checkRestart).pipe(Effect.provide(NodeContext.layer))
  )
})
