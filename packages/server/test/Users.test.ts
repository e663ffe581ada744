import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as client from "./utils/client.ts"

const keys = ["tml-ada", "tml-bob"]
const base = "http://tinker.test/api/v1"

/** A service of two users. */
const users = (options: { readonly tokenLifetime?: "1 hour" } = {}) =>
  Effect.map(
    client.start({ ...options, apiKeys: keys.map((key) => Redacted.make(key)) }),
    ({ client: http }) =>
      (key: string) =>
      <A, E>(effect: Effect.Effect<A, E, HttpClient.HttpClient>): Effect.Effect<A, E> =>
        Effect.provideService(
          effect,
          HttpClient.HttpClient,
          HttpClient.mapRequest(http, HttpClientRequest.setHeader("x-api-key", key))
        )
  )

const made = Effect.gen(function* () {
  const session_id = yield* client.createSession
  const model_id = yield* client.createModel(session_id)
  const { path } = yield* client.run("/save_weights", { model_id, path: "a" })
  const sampler = yield* client.run("/save_weights_for_sampler", { model_id, path: "s" })
  const { sampling_session_id } = yield* client.run("/save_weights_for_sampler", { model_id })
  const { request_id } = yield* client.ok(client.forwardBackward(model_id))
  yield* client.result(request_id)
  return { session_id, model_id, path, sampler: sampler.path, sampling_session_id, request_id }
})

const del = (path: string) => client.send(HttpClientRequest.del(`${base}${path}`))

describe("users", () => {
  it.scoped("neither see nor change what others made", () =>
    Effect.gen(function* () {
      const as = yield* users()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(made)
      const run = `/training_runs/${her.model_id}`
      yield* bob(
        Effect.gen(function* () {
          const own = yield* made
          const mine = { session_id: own.session_id, model_seq_id: 5 }
          const refused = {
            "her session": client.post("/session_heartbeat", { session_id: her.session_id }),
            "its end": client.post(`/sessions/${her.session_id}/finish`, { reason: { type: "success" } }),
            "its description": client.get(`/sessions/${her.session_id}`),
            "a model in it": client.post("/create_model", {
              session_id: her.session_id,
              model_seq_id: 9,
              base_model: "effect-tinker/test"
            }),
            "her model": client.forwardBackward(her.model_id),
            "a step of it": client.optimStep(her.model_id),
            "what it is": client.post("/get_info", { model_id: her.model_id, type: "get_info" }),
            "her result": client.poll(her.request_id),
            "her sampler": client.get(`/samplers/${her.sampling_session_id}`),
            "samples of it": client.post("/asample", client.sampleRequest(her.sampling_session_id, 0)),
            "her run": client.get(run),
            "her run, though accessible": client.get(`${run}?access_scope=accessible`),
            "its checkpoints": client.get(`${run}/checkpoints`),
            "their shape": client.post("/weights_info", { tinker_path: her.path }),
            "their archive": client.get(`${run}/checkpoints/weights/a/archive`),
            "their end": del(`${run}/checkpoints/weights/a`),
            "their publishing": client.post(`${run}/checkpoints/weights/a/publish`, {}),
            "a model of them": client.post("/load_weights", { ...mine, path: her.path, optimizer: true }),
            "a load of them": client.post("/load_weights", { model_id: own.model_id, path: her.path, optimizer: true }),
            "a copy of them": client.post("/copy_weights", { ...mine, source_path: her.path }),
            "sampling from them": client.post("/create_sampling_session", {
              session_id: own.session_id,
              sampling_session_seq_id: 7,
              model_path: her.sampler
            })
          }
          for (const [what, request] of Object.entries(refused)) {
            assert.strictEqual((yield* request).status, 404, what)
          }
          const { training_runs } = yield* client.ok(client.get("/training_runs?access_scope=accessible"))
          assert.deepStrictEqual(
            training_runs.map((one: { training_run_id: string }) => one.training_run_id),
            [own.model_id]
          )
          assert.deepStrictEqual((yield* client.ok(client.get("/sessions"))).sessions, [own.session_id])
          assert.strictEqual((yield* client.ok(client.get("/checkpoints"))).cursor.total_count, 2)
          assert.strictEqual((yield* client.ok(client.post("/checkpoints/search", {}))).checkpoints.length, 2)
          assert.strictEqual(
            (yield* client.ok(client.get("/billing/usage/checkpoints/current"))).data[0].checkpoint_count,
            2
          )
        })
      )
      const owner = (yield* ada(client.ok(client.get(run)))).model_owner
      assert.match(owner, /^user-[0-9a-f]{12}$/)
      assert.strictEqual((yield* ada(client.ok(client.get("/checkpoints")))).cursor.total_count, 2)
    })
  )

  it.scoped("read what is published, and change it not", () =>
    Effect.gen(function* () {
      const as = yield* users()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(made)
      const run = `/training_runs/${her.model_id}`
      assert.strictEqual((yield* ada(client.post(`${run}/checkpoints/weights/a/publish`, {}))).status, 204)
      yield* bob(
        Effect.gen(function* () {
          const session_id = yield* client.createSession
          const loaded = yield* client.run("/load_weights", {
            session_id,
            model_seq_id: 0,
            path: her.path,
            optimizer: true
          })
          assert.strictEqual(loaded.path, her.path)
          const { checkpoints } = yield* client.ok(client.get(`${run}/checkpoints`))
          assert.deepStrictEqual(
            checkpoints.map((one: { tinker_path: string }) => one.tinker_path),
            [her.path]
          )
          const runs = (scope: string) => client.ok(client.get(`/training_runs?access_scope=${scope}`))
          assert.strictEqual((yield* runs("owned")).training_runs.length, 1)
          assert.strictEqual((yield* runs("accessible")).training_runs.length, 2)
          assert.strictEqual((yield* del(`${run}/checkpoints/weights/a`)).status, 404)
          assert.strictEqual((yield* del(`${run}/checkpoints/weights/a/publish`)).status, 404)
        })
      )
    })
  )

  it.scoped("exchange their keys for tokens, which expire and cannot be forged", () =>
    Effect.gen(function* () {
      const as = yield* users({ tokenLifetime: "1 hour" })
      const config = yield* as("tml-ada")(client.ok(client.post("/client/config", { sdk_version: "t" })))
      assert.isTrue(config.pjwt_auth_enabled)
      const { jwt } = yield* as("tml-ada")(client.ok(client.post("/auth/token", {})))
      const [head, payload, signature] = (jwt as string).split(".") as [string, string, string]
      const her = yield* as(jwt)(made)
      assert.strictEqual((yield* as("tml-ada")(client.get(`/training_runs/${her.model_id}`))).status, 200)
      assert.strictEqual((yield* as("tml-bob")(client.get(`/training_runs/${her.model_id}`))).status, 404)
      const text = (part: object) => Encoding.encodeBase64Url(JSON.stringify(part))
      const forged = [
        `${head}.${payload}.${signature.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))}`,
        `${head}.${text({ sub: "user-x", exp: 9e9 })}.${signature}`,
        `${text({ alg: "none" })}.${payload}.`,
        `${head}.${payload}`,
        `${jwt}.x`,
        "eyJ"
      ]
      for (const token of forged) {
        const answer = yield* as(token)(client.get("/healthz"))
        assert.strictEqual(answer.status, 401, token)
        assert.include(answer.headers["www-authenticate"], 'error="invalid_token"')
      }
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual((yield* as(jwt)(client.get("/healthz"))).status, 200)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* as(jwt)(client.get("/healthz"))).status, 401)
      const without = yield* users()
      assert.strictEqual((yield* without("tml-ada")(client.post("/auth/token", {}))).status, 400)
      assert.strictEqual((yield* without(jwt)(client.get("/healthz"))).status, 401)
    })
  )
})
