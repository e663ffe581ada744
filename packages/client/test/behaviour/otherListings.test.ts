import * as RestClient from "@effect-tinker/client/RestClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Redacted, Stream } from "effect"
import { withWarnings } from "@effect-tinker/testing/Logs"

const { json } = ScriptedHttpClient
const options = { apiKey: Redacted.make("tml-rest-key"), baseUrl: "http://service.test" }
const noRoute = json({ detail: "Not Found" }, { status: 404 })
const otherMethod = json({ detail: "Method Not Allowed" }, { status: 405 })

/** Runs a program against a service that has only these routes; returns its result, its warnings and the paths. */
const against = <A, E>(
  script: { readonly [path: string]: ScriptedHttpClient.Step },
  program: (rest: RestClient.Service) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const http = yield* ScriptedHttpClient.make({ "/client/config": json({}), "*": noRoute, ...script })
    const { lines, value } = yield* Effect.flatMap(RestClient.RestClient, program).pipe(
      Effect.provide(RestClient.layer(options).pipe(Layer.provide(http.layer))),
      withWarnings
    )
    const requests = (yield* http.requests).filter(({ path }) => path !== "/client/config" && path !== "/telemetry")
    return { result: value, lines, requests: requests.map(({ method, path }) => `${method} ${path}`) }
  })

const run = (training_run_id: string) => ({ training_run_id, base_model: "base" })
const checkpoint = (id: string, name: string, time: string | null) => ({
  checkpoint_id: `weights/${name}`,
  checkpoint_type: "training",
  tinker_path: `tinker://${id}/weights/${name}`,
  time
})

const byRun = {
  "/training_runs": json({
    training_runs: [run("m1"), run("m2"), run("gone")],
    cursor: { offset: 0, limit: 100, total_count: 3 }
  }),
  "/training_runs/m1/checkpoints": json({
    checkpoints: [checkpoint("m1", "a", "2026-01-01T00:00:00"), checkpoint("m1", "b", "2026-01-03T00:00:00")]
  }),
  "/training_runs/m2/checkpoints": json({ checkpoints: [checkpoint("m2", "c", "2026-01-02T00:00:00")] })
}

const names = (checkpoints: ReadonlyArray<{ readonly checkpoint_id: string }>) =>
  checkpoints.map(({ checkpoint_id }) => checkpoint_id.slice(-1))

describe("a service without a list of all checkpoints", () => {
  it.effect("has the checkpoints of its runs listed, newest first", () =>
    Effect.gen(function* () {
      const page = yield* against(byRun, (rest) => rest.listUserCheckpoints({ limit: 2, offset: 1 }))
      assert.deepStrictEqual(names(page.result.checkpoints), ["c", "a"])
      assert.deepStrictEqual(page.result.cursor, { offset: 1, limit: 2, total_count: 3 })
      const all = yield* against(byRun, (rest) => Stream.runCollect(rest.streamUserCheckpoints({ pageSize: 1 })))
      assert.deepStrictEqual(names(Chunk.toReadonlyArray(all.result)), ["b", "c", "a"])
      assert.strictEqual(all.requests.filter((request) => request === "GET /training_runs").length, 1)
    })
  )

  it.effect("may list no runs either: the error says what it does list", () =>
    Effect.gen(function* () {
      const { result } = yield* against({}, (rest) => Effect.flip(rest.listUserCheckpoints()))
      assert.strictEqual(result._tag, "NotFound")
      assert.include(result.message, "of one run")
    })
  )
})

describe("a listing with an entry that cannot be read", () => {
  it.effect("lists the others, and warns", () =>
    Effect.gen(function* () {
      const bad = { ...checkpoint("m1", "x", null), tinker_path: null }
      const { lines, result } = yield* against(
        { "/training_runs/m1/checkpoints": json({ checkpoints: [bad, checkpoint("m1", "a", null)] }) },
        (rest) => rest.listCheckpoints("m1")
      )
      assert.deepStrictEqual(names(result.checkpoints), ["a"])
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "listCheckpoints: 1 of the checkpoints could not be read")
      assert.include(lines[0], "checkpoints[0].tinker_path")
    })
  )

  it.effect("is paged by what the service sent, and not by what could be read", () =>
    Effect.gen(function* () {
      const offsets: Array<string | null> = []
      const pageOf = (request: ScriptedHttpClient.Recorded) => {
        const offset = new URL(request.url).searchParams.get("offset")
        offsets.push(offset)
        return json({
          training_runs: offset === "0" ? [run("m1"), { base_model: "base" }] : [run("m2")],
          cursor: { offset: Number(offset), limit: 2, total_count: 3 }
        })
      }
      const { result } = yield* against({ "/training_runs": pageOf }, (rest) =>
        Stream.runCollect(rest.streamTrainingRuns({ pageSize: 2 }))
      )
      assert.deepStrictEqual(
        Array.from(result, ({ training_run_id }) => training_run_id),
        ["m1", "m2"]
      )
      assert.deepStrictEqual(offsets, ["0", "2"])
    })
  )
})

const withKind = "/training_runs/m/checkpoints/sampler_weights/a/archive"
const byName = "/training_runs/m/checkpoints/a/archive"
const found = ScriptedHttpClient.empty({ status: 302, headers: { location: "https://files.test/a" } })
const archiveOf = (rest: RestClient.Service) => rest.getCheckpointArchiveUrl("tinker://m/sampler_weights/a")

describe("the archive of a checkpoint", () => {
  it.effect("is asked for by its name where the routes have no kind", () =>
    Effect.gen(function* () {
      for (const missing of [noRoute, otherMethod]) {
        const { requests, result } = yield* against({ [withKind]: missing, [byName]: found }, archiveOf)
        assert.strictEqual(result.url, "https://files.test/a")
        assert.deepStrictEqual(requests, [`GET ${withKind}`, `GET ${byName}`])
      }
      const refused = yield* against(
        { [withKind]: otherMethod, [byName]: json({ detail: "Checkpoint not found: m/a" }, { status: 404 }) },
        (rest) => Effect.flip(archiveOf(rest))
      )
      assert.include(refused.result.message, "Checkpoint not found: m/a")
    })
  )

  it.effect("cannot be at a path of the service's own machine: the error names it at once", () =>
    Effect.gen(function* () {
      const local = ScriptedHttpClient.empty({ status: 302, headers: { location: "file:///data/m/a" } })
      const { requests, result } = yield* against({ [withKind]: local }, (rest) => Effect.flip(archiveOf(rest)))
      assert.strictEqual(result._tag, "DecodeError")
      assert.isFalse(result.isRetryable)
      assert.include(result.message, "file:///data/m/a")
      assert.deepStrictEqual(requests, [`GET ${withKind}`])
    })
  )
})

describe("a checkpoint whose path has the kind checkpoints", () => {
  it.effect("is addressed by its name", () =>
    Effect.gen(function* () {
      const path = "tinker://m/checkpoints/a"
      const done = json({ deleted: true })
      const { requests } = yield* against(
        { "/training_runs/m/checkpoints/a": done, "/training_runs/m/checkpoints/a/publish": done, [byName]: found },
        (rest) =>
          Effect.all([rest.deleteCheckpoint(path), rest.publishCheckpoint(path), rest.getCheckpointArchiveUrl(path)])
      )
      assert.deepStrictEqual(requests, [
        "DELETE /training_runs/m/checkpoints/a",
        "POST /training_runs/m/checkpoints/a/publish",
        `GET ${byName}`
      ])
    })
  )
})
