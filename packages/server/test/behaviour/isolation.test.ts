import * as TinkerApi from "@effect-tinker/api/TinkerApi"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { type Everything, foreignRequests, listings, ownRequests, withoutIds } from "../utils/foreignRequests.ts"
import * as client from "../utils/client.ts"
import * as users from "../utils/users.ts"

const { get, ok, post, run } = client

const lora_config = { rank: 8, train_attn: true, train_mlp: true, train_unembed: true }

/** What one user may have: each thing that has an id. */
const everything = Effect.gen(function* () {
  const all = yield* users.createAll
  const { model_id, sampling_session_id } = all
  const { path: external } = yield* run("/save_weights_external", { model_id, path: "e" })
  const sample = yield* ok(post("/asample", client.sampleRequest(sampling_session_id, 0)))
  const { upload_id } = yield* ok(
    post("/external_weights_upload_start", { base_model: "effect-tinker/test", lora_config })
  )
  return { ...all, external, sample_id: sample.request_id, upload_id } as Everything
})

const endpointNames = (): ReadonlyArray<string> => {
  const names: Array<string> = []
  HttpApi.reflect(TinkerApi.TinkerApi, {
    onGroup: () => undefined,
    onEndpoint: ({ endpoint }) => void names.push(endpoint.name)
  })
  return names
}

/** All that a user can read of what is theirs, and the results that wait for them. */
const view = (own: Everything) =>
  Effect.gen(function* () {
    const [bodies, results] = [[] as Array<unknown>, [] as Array<unknown>]
    for (const request of ownRequests(own)) bodies.push((yield* request).body)
    for (const id of [own.request_id, own.sample_id]) results.push(yield* client.result(id))
    return { bodies, results }
  })

describe("the id of another user", () => {
  it("is sent in every endpoint of the contract that takes one", () => {
    assert.deepStrictEqual(
      endpointNames().slice().sort(),
      [...Object.keys(foreignRequests), ...withoutIds].sort(),
      "an endpoint is missing here: add the requests that name something of another user"
    )
  })

  it.scoped("is answered as one that does not exist, and changes nothing", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(everything)
      const before = yield* ada(view(her))
      const nowhere = "00000000-0000-4000-8000-000000000000"
      const replaceIds = (text: string) =>
        text.replaceAll(her.session_id, nowhere).replaceAll(her.upload_id, "an-upload")
      const missing = JSON.parse(replaceIds(JSON.stringify(her))) as Everything
      const own = yield* bob(everything)
      const attempt = Effect.gen(function* () {
        for (const [name, requests] of Object.entries(foreignRequests)) {
          const [foreign, unknown] = [requests(her, own), requests(missing, own)]
          for (let i = 0; i < foreign.length; i++) {
            const [one, other] = [yield* foreign[i]!, yield* unknown[i]!]
            const what = `${name}, request ${i}`
            assert.include([404, 422], one.status, `${what}: ${JSON.stringify(one.body)}`)
            assert.strictEqual(one.status, other.status, what)
            assert.strictEqual(replaceIds(JSON.stringify(one.body)), JSON.stringify(other.body), what)
          }
        }
      })
      yield* bob(attempt)
      assert.deepStrictEqual(yield* ada(view(her)), before)
      // none of her numbers was used up, and what she has can still be used
      const { model_id } = her
      yield* ada(
        Effect.gen(function* () {
          const { request_id } = yield* ok(client.optimStep(model_id, 6))
          assert.property(yield* client.result(request_id), "metrics")
          assert.strictEqual((yield* post("/external_weights_upload_finish", { upload_id: her.upload_id })).status, 400)
          yield* post(`/sessions/${her.session_id}/finish`, { reason: { type: "success" } })
        })
      )
      // the same holds when her session has ended
      yield* bob(attempt)
    })
  )

  it.scoped("is in no list and in no search", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const her = yield* as("tml-ada")(everything)
      const owner = yield* as("tml-ada")(ok(get(`/training_runs/${her.model_id}`)))
      yield* as("tml-ada")(client.put(`/sessions/${her.session_id}/project`, { project_id: "hers" }))
      for (const [what, request] of Object.entries(listings(her, owner.model_owner))) {
        const hers = yield* as("tml-ada")(ok(request))
        const text = JSON.stringify(yield* as("tml-bob")(ok(request)))
        assert.notInclude(text, her.session_id, what)
        assert.notInclude(text, owner.model_owner, what)
        assert.notStrictEqual(text, JSON.stringify(hers), `${what}: the list is empty for its owner too`)
      }
    })
  )

  it.scoped("does not tell whether its result was evicted", () =>
    Effect.gen(function* () {
      const as = yield* users.start({ resultRetention: "1 minute" })
      const her = yield* as("tml-ada")(users.createAll)
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* as("tml-ada")(client.poll(her.request_id))).status, 410)
      assert.strictEqual((yield* as("tml-bob")(client.poll(her.request_id))).status, 404)
      assert.strictEqual((yield* as("tml-bob")(post("/cancel_future", { request_id: her.request_id }))).status, 404)
    })
  )

  it.scoped("does not tell that its model was lost with the process", () =>
    Effect.gen(function* () {
      const store = yield* Store.makeMemory()
      const context = yield* Layer.build(CheckpointStore.layerMemory)
      const checkpoints = Layer.succeed(
        CheckpointStore.CheckpointStore,
        Context.get(context, CheckpointStore.CheckpointStore)
      )
      const options = { store: store.layer, checkpoints }
      const scope = yield* Scope.make()
      const first = yield* Scope.extend(users.start(options), scope)
      const her = yield* first("tml-ada")(users.createAll)
      yield* store.kill
      yield* Scope.close(scope, Exit.void)
      const as = yield* users.start(options)
      const lost = yield* as("tml-ada")(client.optimStep(her.model_id))
      assert.strictEqual(lost.status, 404)
      assert.match(lost.body.detail, /ended with the process/)
      for (const request of [client.optimStep(her.model_id), client.poll(her.request_id)]) {
        const { body, status } = yield* as("tml-bob")(request)
        assert.strictEqual(status, 404)
        assert.match(body.detail, /^there is no (model|request)/)
        assert.notProperty(body, "model_lost")
      }
      assert.strictEqual((yield* as("tml-bob")(get(`/samplers/${her.sampling_session_id}`))).status, 404)
    })
  )
})

describe("results", () => {
  it.scoped("of one user are not released by the list of another", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const her = yield* as("tml-ada")(everything)
      yield* as("tml-ada")(client.result(her.sample_id))
      yield* as("tml-bob")(
        Effect.gen(function* () {
          const { sampling_session_id } = yield* users.createAll
          const target = { sampling_session_id, cloned_sampler_id: 0 }
          const retrieved_request_ids = [her.sample_id, her.request_id]
          yield* ok(post("/retrieve_futures", { target, prev_cursor: 0, retrieved_request_ids, timeout: 0 }))
        })
      )
      assert.strictEqual((yield* as("tml-ada")(client.poll(her.sample_id))).status, 200)
      assert.strictEqual((yield* as("tml-ada")(client.poll(her.request_id))).status, 200)
    })
  )
})

describe("a weights access token", () => {
  it.scoped("reads the checkpoints of the user whose key it is, and of no other", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const her = yield* as("tml-ada")(users.createAll)
      yield* as("tml-bob")(
        Effect.gen(function* () {
          const session_id = yield* client.createSession
          const model_id = yield* client.createModel(session_id)
          let model_seq_id = 1
          const uses = (token: string) => [
            post("/copy_weights", {
              source_path: her.path,
              destination_project_id: "p",
              weights_access_token: token
            }),
            post(
              "/copy_weights",
              { source_path: her.path, destination_project_id: "p" },
              { "x-tinker-weights-access-token": token }
            ),
            post("/load_weights", { model_id, path: her.path, optimizer: true, weights_access_token: token }),
            Effect.suspend(() =>
              post("/load_weights", {
                session_id,
                model_seq_id: model_seq_id++,
                path: her.path,
                optimizer: true,
                weights_access_token: token
              })
            )
          ]
          for (const [token, status] of [
            ["tml-carol", 404],
            ["tml-bob", 404],
            ["tml-nobody", 403],
            ["", 403],
            ["tml-ada", 200]
          ] as const) {
            for (const use of uses(token)) assert.strictEqual(yield* client.statusOf(use), status, token)
          }
          // a copy is of the user who made it, and without the token nothing has become readable
          const [copy] = (yield* ok(get("/checkpoints"))).checkpoints
          assert.strictEqual((yield* post("/weights_info", { tinker_path: copy.tinker_path })).status, 200)
          assert.strictEqual((yield* post("/weights_info", { tinker_path: her.path })).status, 404)
        })
      )
      assert.strictEqual((yield* as("tml-ada")(ok(get("/checkpoints")))).cursor.total_count, 2)
    })
  )
})

describe("a token that stands for a key", () => {
  it.scoped("is of the user to whom it was issued", () =>
    Effect.gen(function* () {
      const as = yield* users.start({ tokenLifetime: "1 hour" })
      const her = yield* as("tml-ada")(users.createAll)
      const { jwt } = yield* as("tml-bob")(ok(post("/auth/token", {})))
      const own = yield* as(jwt)(client.createSession)
      assert.deepStrictEqual((yield* as("tml-bob")(ok(get("/sessions")))).sessions, [own])
      assert.strictEqual((yield* as(jwt)(get(`/sessions/${her.session_id}`))).status, 404)
    })
  )
})

describe("uploads", () => {
  it.scoped("are counted for each user", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const start = post("/external_weights_upload_start", { base_model: "effect-tinker/test", lora_config })
      for (let i = 0; i < 4; i++) yield* as("tml-ada")(ok(start))
      assert.strictEqual((yield* as("tml-ada")(start)).status, 429)
      yield* as("tml-bob")(ok(start))
    })
  )
})

describe("a published checkpoint", () => {
  it.scoped("is changed by its owner only, and copied once for each user", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(users.createAll)
      const url = `/training_runs/${her.model_id}/checkpoints/weights/a`
      yield* ada(post(`${url}/publish`, {}))
      for (const change of [
        client.del(url),
        client.post(`${url}/publish`, {}),
        client.del(`${url}/publish`),
        client.put(`${url}/ttl`, { ttl_seconds: 1 }),
        client.put(`${url}/ttl`, { ttl_seconds: null })
      ]) {
        const { body, status } = yield* bob(change)
        assert.strictEqual(status, 404)
        assert.match(body.detail, /^there is no checkpoint/)
      }
      // its session is still its owner's
      assert.strictEqual((yield* bob(get(`/sessions/${her.session_id}`))).status, 404)
      assert.deepStrictEqual((yield* bob(ok(get("/training_runs")))).training_runs, [])
      assert.deepStrictEqual((yield* bob(ok(post("/checkpoints/search", {})))).checkpoints, [])
      const { checkpoints } = yield* bob(ok(get(`/training_runs/${her.model_id}/checkpoints`)))
      assert.deepStrictEqual(
        checkpoints.map((one: { readonly tinker_path: string }) => one.tinker_path),
        [her.path]
      )
      const copy = post(
        "/copy_weights",
        { source_path: her.path, destination_project_id: "p" },
        { "x-idempotency-key": "the same" }
      )
      const [one, other] = [yield* ada(ok(copy)), yield* bob(ok(copy))]
      assert.notStrictEqual(one.tinker_path, other.tinker_path)
      assert.strictEqual((yield* ada(post("/weights_info", { tinker_path: other.tinker_path }))).status, 404)
    })
  )

  it.scoped("is no longer sampled by others once it is private again", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(users.createAll)
      const url = `/training_runs/${her.model_id}/checkpoints/sampler_weights/s/publish`
      yield* ada(post(url, {}))
      const session_id = yield* bob(client.createSession)
      const { sampling_session_id } = yield* bob(
        ok(post("/create_sampling_session", { session_id, sampling_session_seq_id: 0, model_path: her.sampler }))
      )
      yield* bob(run("/asample", client.sampleRequest(sampling_session_id, 0)))
      yield* ada(client.del(url))
      const { status } = yield* bob(post("/asample", client.sampleRequest(sampling_session_id, 1)))
      assert.strictEqual(status, 404)
    })
  )
})
