import type * as Training from "@effect-tinker/api/Training"
import * as Engine from "@effect-tinker/server/Engine"
import * as SafeTensors from "@effect-tinker/server/SafeTensors"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as client from "./utils/client.ts"

const { createModel, get, ok, post, run, statusOf } = client

const base = "http://tinker.test/api/v1"
const del = (path: string) => client.send(HttpClientRequest.del(`${base}${path}`))
const put = (path: string, body: unknown) =>
  client.send(HttpClientRequest.put(`${base}${path}`).pipe(HttpClientRequest.bodyUnsafeJson(body)))

const session = Effect.map(
  ok(
    post("/create_session", {
      tags: [],
      user_metadata: { suite: "rest" },
      sdk_version: "test",
      display_name: "Nightly run",
      project_id: "p"
    })
  ),
  ({ session_id }) => session_id as string
)

/** A model with a training state and weights to sample from, a second apart. */
const trained = Effect.gen(function* () {
  const session_id = yield* session
  const model_id = yield* createModel(session_id)
  yield* TestClock.adjust("1 second")
  yield* run("/save_weights", { model_id, path: "a", user_metadata: { step: "1" } })
  yield* TestClock.adjust("1 second")
  yield* run("/save_weights_for_sampler", { model_id, path: "b" })
  return { session_id, model_id }
})

const text = (start: number, length: number, bytes: Uint8Array) =>
  new TextDecoder().decode(bytes.slice(start, start + length)).replace(/\0.*$/s, "")

/** The files of an archive, by the field of each header that says how long it is. */
const untar = (bytes: Uint8Array) => {
  const files: Record<string, Uint8Array> = {}
  let offset = 0
  while (text(offset, 100, bytes) !== "") {
    const size = Number.parseInt(text(offset + 124, 12, bytes), 8)
    assert.strictEqual(text(offset + 257, 6, bytes), "ustar")
    files[text(offset, 100, bytes)] = bytes.slice(offset + 512, offset + 512 + size)
    offset += 512 + Math.ceil(size / 512) * 512
  }
  assert.strictEqual(bytes.length, offset + 1024)
  return files
}

describe("what is looked up", () => {
  it.scoped("training runs and their checkpoints", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* trained
        yield* createModel(session_id, 1)
        const listed = yield* ok(get("/training_runs?limit=1&offset=1&project_id=p"))
        assert.deepStrictEqual(listed.cursor, { offset: 1, limit: 1, total_count: 2 })
        assert.strictEqual(listed.training_runs.length, 1)
        assert.strictEqual((yield* ok(get("/training_runs?project_id=q"))).cursor.total_count, 0)
        const found = yield* ok(get(`/training_runs/${model_id}`))
        assert.strictEqual(found.training_run_id, model_id)
        assert.strictEqual(found.lora_rank, 8)
        assert.strictEqual(found.last_checkpoint.checkpoint_id, "weights/a")
        assert.strictEqual(found.last_sampler_checkpoint.checkpoint_id, "sampler_weights/b")
        assert.strictEqual(yield* statusOf(get("/training_runs/none")), 404)
        assert.strictEqual(yield* statusOf(get("/training_runs?limit=x")), 422)

        const { checkpoints } = yield* ok(get(`/training_runs/${model_id}/checkpoints`))
        assert.deepStrictEqual(
          checkpoints.map(({ checkpoint_id, checkpoint_type }: never) => [checkpoint_id, checkpoint_type]),
          [
            ["sampler_weights/b", "sampler"],
            ["weights/a", "training"]
          ]
        )
        assert.deepStrictEqual(checkpoints[1].user_metadata, { step: "1" })
        assert.strictEqual(checkpoints[1].time, "1970-01-01T00:00:01.000Z")
        const page = yield* ok(get("/checkpoints?limit=1"))
        assert.deepStrictEqual(page.cursor, { offset: 0, limit: 1, total_count: 2 })
        assert.strictEqual(yield* statusOf(get("/training_runs/none/checkpoints")), 404)

        const info = yield* ok(post("/weights_info", { tinker_path: `tinker://${model_id}/weights/a` }))
        assert.strictEqual(info.lora_rank, 8)
        assert.strictEqual(yield* statusOf(post("/weights_info", { tinker_path: "x" })), 400)
        const storage = yield* ok(get("/billing/usage/checkpoints/current"))
        assert.strictEqual(storage.data[0].checkpoint_count, 2)
        const { entries } = yield* ok(get("/audit"))
        assert.deepStrictEqual(
          entries.map((entry: { event: string }) => entry.event),
          ["checkpoint_created", "checkpoint_created"]
        )
        assert.deepStrictEqual(yield* ok(get("/audit?day=1970-01-02")), { entries: [] })
        assert.deepStrictEqual(yield* ok(get("/audit?event_type=teams")), { entries: [] })
        assert.strictEqual(yield* statusOf(get("/audit?day=1970-13-99")), 400)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("usage counts the tokens that were trained on and sampled, by the hour", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ sessionTimeout: "2 hours" })
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* trained
        const data = client.input(client.datum([1, 2, 3]), client.datum([1, 2, 3, 4, 5]))
        yield* run("/forward", { model_id, forward_input: data })
        yield* run("/forward_backward", { model_id, forward_backward_input: data })
        yield* TestClock.adjust("1 hour")
        yield* run("/forward", { model_id, forward_input: data })
        const { sampling_session_id } = yield* run("/save_weights_for_sampler", { model_id })
        yield* run("/asample", client.sampleRequest(sampling_session_id, 0, { num_samples: 3 }))
        const usage = (query: string) => get(`/billing/usage/events?${query}`)
        const body = yield* ok(usage("starting_on=1970-01-01T00:00:00Z&ending_before=1970-01-02T00:00:00Z"))
        assert.deepStrictEqual(
          body.data.map(({ bucket_start, event_info }: { bucket_start: string; event_info: object }) => [
            bucket_start.slice(11, 13),
            event_info
          ]),
          [
            ["00", { type: "training", token_count: 12 }],
            ["00", { type: "checkpoint", count: 2 }],
            ["01", { type: "sampling_sample", token_count: 12 }],
            ["01", { type: "training", token_count: 6 }],
            ["01", { type: "sampling_prefill", cached: false, token_count: 2 }]
          ]
        )
        assert.deepStrictEqual(body.sessions, { [session_id]: { user_metadata: { suite: "rest" } } })
        assert.strictEqual(body.data[0].project_id, "p")
        const later = yield* ok(usage("starting_on=1970-01-01T01:00:00Z&ending_before=1970-01-01T02:00:00Z"))
        assert.strictEqual(later.data.length, 3)
        const long = usage("starting_on=1970-01-01T00:00:00Z&ending_before=1970-02-01T00:00:00Z")
        assert.strictEqual(yield* statusOf(long), 400)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("searches go from page to page", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id } = yield* trained
        const first = yield* ok(post("/checkpoints/search", { limit: 1 }))
        assert.strictEqual(first.checkpoints[0].checkpoint_id, "sampler_weights/b")
        const second = yield* ok(post("/checkpoints/search", { limit: 1, cursor: first.next_cursor }))
        assert.strictEqual(second.checkpoints[0].tinker_path, `tinker://${model_id}/weights/a`)
        assert.isUndefined(second.next_cursor)
        const count = (path: string, key: string, query: object) =>
          Effect.map(ok(post(path, query)), (body) => body[key].length as number)
        const checkpoints = (query: object) => count("/checkpoints/search", "checkpoints", query)
        assert.strictEqual(yield* checkpoints({ checkpoint_type: "training" }), 1)
        assert.strictEqual(yield* checkpoints({ user_metadata: { step: "2" } }), 0)
        assert.strictEqual(yield* checkpoints({ base_models: [] }), 0)
        assert.strictEqual(yield* checkpoints({ project_ids: ["p"] }), 2)

        yield* TestClock.adjust("1 second")
        yield* client.createSession
        const page = yield* ok(post("/sessions/search", { limit: 1 }))
        const rest = yield* ok(post("/sessions/search", { limit: 1, cursor: page.next_cursor }))
        assert.strictEqual(rest.sessions[0].display_name, "Nightly run")
        assert.strictEqual(rest.sessions[0].checkpoints_count, 2)
        assert.isUndefined(rest.next_cursor)
        const sessions = (query: object) => count("/sessions/search", "sessions", query)
        assert.strictEqual(yield* sessions({ display_name: "night" }), 1)
        assert.strictEqual(yield* sessions({ display_name: "day" }), 0)
        assert.strictEqual(yield* sessions({ user_metadata: { suite: "rest" } }), 1)
        assert.strictEqual(yield* sessions({ statuses: [{ type: "active" }] }), 2)
        assert.strictEqual(yield* sessions({ statuses: [{ type: "client_finished", reasons: ["success"] }] }), 0)
        const cursor = { last_created_at: "no time", last_session_id: "" }
        assert.strictEqual(yield* statusOf(post("/sessions/search", { cursor })), 400)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("sessions, samplers and projects", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* trained
        const model_path = `tinker://${model_id}/sampler_weights/b`
        yield* ok(post("/create_sampling_session", { session_id, sampling_session_seq_id: 0, model_path }))
        const found = yield* ok(get(`/sessions/${session_id}`))
        assert.deepStrictEqual(found.training_run_ids, [model_id])
        assert.deepStrictEqual(found.user_metadata, { suite: "rest" })
        const sampler = yield* ok(get(`/samplers/${found.sampler_ids[0]}`))
        assert.strictEqual(sampler.model_path, model_path)
        assert.deepStrictEqual((yield* ok(get("/sessions"))).sessions, [session_id])
        assert.strictEqual(yield* statusOf(get("/sessions/none")), 404)
        assert.strictEqual(yield* statusOf(get("/samplers/none")), 404)
        assert.strictEqual(yield* statusOf(get("/sessions/none/trace_export")), 404)
        assert.strictEqual(yield* statusOf(put(`/sessions/${session_id}/project`, { project_id: "p" })), 204)
        assert.strictEqual(yield* statusOf(put(`/sessions/${session_id}/project`, { project_id: "q" })), 409)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("a trace", () => {
  it.scoped("shows what was done in a session, when, and how long it waited", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start(
        {},
        {
          before: ({ input, name }) => {
            if (name !== "optimStep") return Effect.void
            const fails = (input as Training.AdamParams).learning_rate === 3
            const failure = new Engine.EngineError({ reason: "no", category: "user" })
            return Effect.zipRight(Effect.sleep("2 seconds"), fails ? failure : Effect.void)
          }
        }
      )
      yield* Effect.gen(function* () {
        const session = yield* client.createSession
        const model_id = yield* createModel(session)
        const steps = yield* Effect.forEach([1, 2, 3], (seqId) => ok(client.optimStep(model_id, seqId, seqId)))
        yield* TestClock.adjust("10 seconds")
        yield* Effect.forEach(steps, ({ request_id }) => client.result(request_id))
        const { status, url } = yield* ok(get(`/sessions/${session}/trace_export`))
        assert.strictEqual(status, "ready")
        // the URL is leave enough
        const { traceEvents } = yield* ok(client.send(HttpClientRequest.get(url)))
        type Span = { ph: string; name: string; tid: number; ts: number; dur: number; args: Record<string, unknown> }
        const spans = (traceEvents as ReadonlyArray<Span>).filter(({ name, ph }) => ph === "X" && name === "OptimStep")
        assert.deepStrictEqual(
          spans.map(({ args, dur, tid, ts }) => [tid, ts, dur, args["seq_id"], args["outcome"]]),
          [
            [0, 0, 2e6, 1, "done"],
            [1, 0, 2e6, 2, "done"],
            [0, 2e6, 2e6, 2, "done"],
            [1, 0, 4e6, 3, "failed"],
            [0, 4e6, 2e6, 3, "failed"]
          ]
        )
        assert.strictEqual(
          yield* statusOf(client.send(HttpClientRequest.get(url.replace(/signature=\w+/, "signature=0")))),
          403
        )
        yield* TestClock.adjust("61 minutes")
        assert.strictEqual(yield* statusOf(client.send(HttpClientRequest.get(url))), 410)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("checkpoints", () => {
  it.scoped("are published, dated, copied and deleted", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const { model_id, session_id } = yield* trained
        const path = `/training_runs/${model_id}/checkpoints/weights/a`
        const found = Effect.map(ok(get(`/training_runs/${model_id}/checkpoints`)), ({ checkpoints }) =>
          checkpoints.find(({ checkpoint_id }: { readonly checkpoint_id: string }) => checkpoint_id === "weights/a")
        )
        assert.strictEqual(yield* statusOf(del(`${path}/publish`)), 409)
        assert.strictEqual(yield* statusOf(post(`${path}/publish`, undefined)), 204)
        assert.isTrue((yield* found).public)
        const again = yield* post(`${path}/publish`, undefined)
        assert.strictEqual(again.status, 409)
        assert.strictEqual(again.headers["x-should-retry"], "false")

        assert.strictEqual(yield* statusOf(put(`${path}/ttl`, { ttl_seconds: 0 })), 400)
        assert.strictEqual(yield* statusOf(put(`${path}/ttl`, { ttl_seconds: 3600 })), 204)
        assert.strictEqual((yield* found).expires_at, "1970-01-01T01:00:02.000Z")
        assert.strictEqual(yield* statusOf(put(`${path}/ttl`, { ttl_seconds: null })), 204)
        assert.isUndefined((yield* found).expires_at)

        const source_path = `tinker://${model_id}/weights/a`
        const copied = yield* ok(post("/copy_weights", { session_id, model_seq_id: 7, source_path }))
        assert.strictEqual(copied.tinker_path, `tinker://${session_id}:train:7/weights/a`)
        assert.strictEqual(yield* statusOf(post("/copy_weights", { session_id, model_seq_id: 0, source_path })), 409)
        assert.strictEqual(yield* statusOf(post("/copy_weights", { source_path })), 400)
        // attempts of one call make one copy
        const copyWith = (key: string) =>
          ok(post("/copy_weights", { destination_project_id: "p-0", source_path }, { "x-idempotency-key": key }))
        const once = yield* copyWith("k")
        assert.deepStrictEqual(yield* copyWith("k"), once)
        assert.notDeepEqual(yield* copyWith("l"), once)
        const moved = yield* ok(post("/copy_weights", { destination_project_id: "p", source_path }))
        assert.match(moved.tinker_path, /^tinker:\/\/[^/]+\/weights\/a$/)
        const runs = yield* ok(get("/training_runs?project_id=p"))
        assert.strictEqual(runs.training_runs[0].last_checkpoint.tinker_path, moved.tinker_path)

        assert.strictEqual(yield* statusOf(del(path)), 204)
        assert.strictEqual(yield* statusOf(del(path)), 404)
        assert.strictEqual(yield* statusOf(del(`/training_runs/${model_id}/checkpoints/other/a`)), 422)
        // the name is free again
        yield* run("/save_weights", { model_id, path: "a" })
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("are fetched as files by signed URLs, without a key and for an hour", () =>
    Effect.gen(function* () {
      const { client: http } = yield* client.start({ apiKeys: [Redacted.make("tml-key")] })
      const keyed = HttpClient.mapRequest(http, HttpClientRequest.setHeader("x-api-key", "tml-key"))
      const { external, model_id } = yield* Effect.gen(function* () {
        const { model_id } = yield* trained
        const { path } = yield* run("/save_weights_external", { model_id, path: "c" })
        return { model_id, external: path as string }
      }).pipe(Effect.provideService(HttpClient.HttpClient, keyed))
      const run_url = `${base}/training_runs/${model_id}/checkpoints`

      const redirect = yield* keyed.get(`${run_url}/sampler_weights/b/archive`)
      assert.strictEqual(redirect.status, 302)
      assert.strictEqual(redirect.headers["expires"], "Thu, 01 Jan 1970 01:00:02 GMT")
      const url = redirect.headers["location"]!
      assert.strictEqual(((yield* redirect.json) as { readonly url: string }).url, url)
      const files = untar(new Uint8Array(yield* (yield* http.get(url)).arrayBuffer))
      assert.deepStrictEqual(Object.keys(files), [
        "adapter_model.safetensors",
        "adapter_config.json",
        "checkpoint_complete"
      ])
      assert.include(JSON.parse(new TextDecoder().decode(files["adapter_config.json"])), { peft_type: "LORA", r: 8 })
      const { tensors } = yield* SafeTensors.decode(files["adapter_model.safetensors"]!)
      assert.isAbove(Object.keys(tensors).length, 0)

      const part = (range: string, ifRange?: string) =>
        http.get(url, { headers: { range, ...(ifRange === undefined ? {} : { "if-range": ifRange }) } })
      const whole = new Uint8Array(yield* (yield* http.get(url)).arrayBuffer)
      const rest = yield* part("bytes=600-")
      assert.strictEqual(rest.status, 206)
      assert.strictEqual(rest.headers["content-range"], `bytes 600-${whole.length - 1}/${whole.length}`)
      assert.deepStrictEqual(new Uint8Array(yield* rest.arrayBuffer), whole.slice(600))
      assert.strictEqual((yield* part("bytes=600-", rest.headers["etag"])).status, 206)
      assert.strictEqual((yield* part("bytes=600-", '"of another version"')).status, 200)
      assert.strictEqual((yield* part(`bytes=${whole.length}-`)).status, 416)

      assert.strictEqual(external, `tinker://${model_id}/external_weights/c`)
      const found = yield* keyed.get(`${run_url}/external_weights/c/external_weights_urls`)
      const { urls } = (yield* found.json) as { readonly urls: Record<string, string> }
      assert.strictEqual((yield* http.get(urls["adapter_config.json"]!)).status, 200)
      assert.strictEqual((yield* keyed.get(`${run_url}/weights/a/external_weights_urls`)).status, 400)

      assert.strictEqual((yield* http.get(url.replace("/b/b.tar", "/b/c.tar"))).status, 403)
      assert.strictEqual((yield* http.get(url.replace(/expires=\d+/, "expires=9999999999999"))).status, 403)
      assert.strictEqual((yield* http.get(url.split("?")[0]!)).status, 403)
      assert.strictEqual((yield* http.get(`${base}/downloads/../sessions`)).status, 401)
      assert.strictEqual((yield* keyed.get(`${run_url}/weights/none/archive`)).status, 404)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* http.get(url)).status, 410)
    })
  )
})
