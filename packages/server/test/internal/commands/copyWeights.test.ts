import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as client from "../../utils/client.ts"
import * as fixtures from "../../utils/checkpoints.ts"

const { get, ok, post } = client

type Json = Readonly<Record<string, unknown>>

const infoOf = (tinker_path: string) =>
  Effect.map(ok(get("/checkpoints?limit=100")), ({ checkpoints }) =>
    (checkpoints as ReadonlyArray<Json>).find((one) => one["tinker_path"] === tinker_path)!
  )

describe("a copy of a checkpoint", () => {
  it.scoped("has the contents and the metadata of its source, an expiry of its own, and is in the audit log", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* fixtures.savedModel
        const source_path = `tinker://${model_id}/weights/a`
        const { tinker_path } = yield* ok(
          post("/copy_weights", { session_id, model_seq_id: 3, source_path, ttl_seconds: 3600 })
        )
        const [source, copy] = [yield* infoOf(source_path), yield* infoOf(tinker_path)]
        assert.deepStrictEqual(copy["user_metadata"], { step: "1" })
        assert.strictEqual(copy["size_bytes"], source["size_bytes"])
        assert.strictEqual(copy["expires_at"], "1970-01-01T01:00:02.000Z")
        assert.isUndefined(source["expires_at"])
        // the state of the optimizer is in it
        const load = { session_id, model_seq_id: 4, path: tinker_path, optimizer: true }
        assert.strictEqual((yield* client.run("/load_weights", load)).path, tinker_path)
        // the same place again is overwritten
        assert.strictEqual(
          yield* client.statusOf(post("/copy_weights", { session_id, model_seq_id: 3, source_path })),
          200
        )
        assert.isUndefined((yield* infoOf(tinker_path))["expires_at"])
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("is rejected with the reason when its destination or its expiry is wrong", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* fixtures.savedModel
        const source_path = `tinker://${model_id}/weights/a`
        const ended = yield* client.createSession
        yield* post(`/sessions/${ended}/finish`, { reason: { type: "success" } })
        const nowhere = "pass destination_project_id, or session_id and model_seq_id, as the destination"
        for (const [body, status, reason] of [
          [{ source_path }, 400, nowhere],
          [{ source_path, session_id }, 400, nowhere],
          [{ source_path, model_seq_id: 5 }, 400, nowhere],
          [{ source_path, session_id, model_seq_id: 0 }, 409, "model_seq_id 0 is in use by a model"],
          [{ source_path, session_id: ended, model_seq_id: 5 }, 404, `session ${ended} has ended`],
          [{ source_path, session_id: "nobody", model_seq_id: 5 }, 404, "no session nobody"],
          [
            { source_path: `${source_path}x`, session_id, model_seq_id: 5 },
            404,
            `there is no checkpoint ${source_path}x`
          ],
          [{ source_path: "x", destination_project_id: "p" }, 400, 'path "x" is not a checkpoint path'],
          [{ source_path, destination_project_id: "p", ttl_seconds: 1e10 }, 400, "ttl_seconds is 10000000000"]
        ] as const) {
          const answer = yield* post("/copy_weights", body)
          assert.strictEqual(answer.status, status, JSON.stringify(answer.body))
          assert.include(answer.body.detail, reason)
        }
        assert.strictEqual((yield* ok(get("/checkpoints"))).cursor.total_count, 2)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("into a project is one for attempts of one call, and another for other calls", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id } = yield* fixtures.savedModel
        const copy = (name: string, project: string, key?: string) =>
          Effect.map(
            ok(
              post(
                "/copy_weights",
                { source_path: `tinker://${model_id}/${name}`, destination_project_id: project },
                key === undefined ? {} : { "x-idempotency-key": key }
              )
            ),
            ({ tinker_path }) => tinker_path as string
          )
        const first = yield* copy("weights/a", "p", "k")
        assert.strictEqual(yield* copy("weights/a", "p", "k"), first)
        const others = [
          yield* copy("weights/a", "p", "l"),
          yield* copy("weights/a", "q", "k"),
          yield* copy("sampler_weights/b", "p", "k"),
          yield* copy("weights/a", "p"),
          yield* copy("weights/a", "p")
        ]
        assert.strictEqual(new Set([first, ...others]).size, 6)
        for (const path of others) assert.match(path, /^tinker:\/\/[^/]+:train:0\/(weights\/a|sampler_weights\/b)$/)
        const session = first.slice("tinker://".length).split(":")[0]!
        const described = yield* ok(post("/sessions/search", { session_id: session }))
        assert.deepInclude(described.sessions[0], {
          project_id: "p",
          status: { type: "client_finished", reason: { type: "success" }, detail: "a copy of a checkpoint" }
        })
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("the audit log", () => {
  it.scoped("names what was done to checkpoints, and when", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id } = yield* fixtures.savedModel
        yield* TestClock.adjust("8 seconds")
        const url = `/training_runs/${model_id}/checkpoints/weights/a`
        const source_path = `tinker://${model_id}/weights/a`
        yield* post(`${url}/publish`, {})
        yield* client.del(`${url}/publish`)
        yield* client.put(`${url}/ttl`, { ttl_seconds: 60 })
        yield* client.put(`${url}/ttl`, { ttl_seconds: null })
        const { tinker_path } = yield* ok(post("/copy_weights", { source_path, destination_project_id: "p" }))
        yield* client.del(url)
        const { entries } = yield* ok(get("/audit"))
        type Entry = { readonly event: string; readonly event_details: object; readonly timestamp: string }
        const found = (entries as ReadonlyArray<Entry>).filter(
          ({ timestamp }) => timestamp === "1970-01-01T00:00:10.000Z"
        )
        assert.deepStrictEqual(
          found.map(({ event, event_details }) => [event, event_details]),
          [
            ["checkpoint_published", { tinker_path: source_path }],
            ["checkpoint_unpublished", { tinker_path: source_path }],
            ["checkpoint_ttl_changed", { tinker_path: source_path, ttl_seconds: 60 }],
            ["checkpoint_ttl_changed", { tinker_path: source_path, ttl_seconds: null }],
            ["checkpoint_copied", { tinker_path, source_path }],
            ["checkpoint_deleted", { tinker_path: source_path }]
          ]
        )
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("says nothing of a change that was rejected, and the reason is in the response", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id } = yield* fixtures.savedModel
        const url = `/training_runs/${model_id}/checkpoints/weights/a`
        const path = `tinker://${model_id}/weights/a`
        for (const [request, detail] of [
          [client.del(`${url}/publish`), `${path} is not published`],
          [client.put(`${url}/ttl`, { ttl_seconds: 0 }), "ttl_seconds is 0, but must be above 0"],
          [client.put(`${url}/ttl`, { ttl_seconds: -1 }), "ttl_seconds is -1, but must be above 0"],
          [client.put(`${url}/ttl`, { ttl_seconds: 1e10 }), "ttl_seconds is 10000000000"]
        ] as const) {
          const { body, status } = yield* request
          assert.include([400, 409], status)
          assert.include(body.detail, detail)
        }
        yield* post(`${url}/publish`, {})
        assert.include((yield* post(`${url}/publish`, {})).body.detail, `${path} is published already`)
      }).pipe(Effect.provide(layer))
    })
  )
})
