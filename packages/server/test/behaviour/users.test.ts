import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../utils/client.ts"
import * as users from "../utils/users.ts"

describe("users", () => {
  it.scoped("neither see nor change what other users created", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(users.createAll)
      const run = `/training_runs/${her.model_id}`
      yield* bob(
        Effect.gen(function* () {
          const own = yield* users.createAll
          const mine = { session_id: own.session_id, model_seq_id: 5 }
          const rejected = {
            "her session": client.post("/session_heartbeat", { session_id: her.session_id }),
            "its finish": client.post(`/sessions/${her.session_id}/finish`, { reason: { type: "success" } }),
            "its description": client.get(`/sessions/${her.session_id}`),
            "a model in it": client.post("/create_model", {
              session_id: her.session_id,
              model_seq_id: 9,
              base_model: "effect-tinker/test"
            }),
            "her model": client.forwardBackward(her.model_id),
            "a step of it": client.optimStep(her.model_id),
            "its description as a model": client.post("/get_info", { model_id: her.model_id, type: "get_info" }),
            "her result": client.poll(her.request_id),
            "her sampler": client.get(`/samplers/${her.sampling_session_id}`),
            "samples of it": client.post("/asample", client.sampleRequest(her.sampling_session_id, 0)),
            "her run": client.get(run),
            "her run, though accessible": client.get(`${run}?access_scope=accessible`),
            "its checkpoints": client.get(`${run}/checkpoints`),
            "their shape": client.post("/weights_info", { tinker_path: her.path }),
            "their archive": client.get(`${run}/checkpoints/weights/a/archive`),
            "their deletion": client.del(`${run}/checkpoints/weights/a`),
            "their publication": client.post(`${run}/checkpoints/weights/a/publish`, {}),
            "a model of them": client.post("/load_weights", { ...mine, path: her.path, optimizer: true }),
            "a load of them": client.post("/load_weights", { model_id: own.model_id, path: her.path, optimizer: true }),
            "a copy of them": client.post("/copy_weights", { ...mine, source_path: her.path }),
            "sampling from them": client.post("/create_sampling_session", {
              session_id: own.session_id,
              sampling_session_seq_id: 7,
              model_path: her.sampler
            })
          }
          for (const [what, request] of Object.entries(rejected)) {
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

  it.scoped("read published checkpoints of other users, and cannot change them", () =>
    Effect.gen(function* () {
      const as = yield* users.start()
      const [ada, bob] = [as("tml-ada"), as("tml-bob")]
      const her = yield* ada(users.createAll)
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
          assert.strictEqual((yield* client.del(`${run}/checkpoints/weights/a`)).status, 404)
          assert.strictEqual((yield* client.del(`${run}/checkpoints/weights/a/publish`)).status, 404)
        })
      )
    })
  )
})
