import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { key, layer as ServiceLive, Service } from "../utils/service.ts"
import { directory, scripted } from "../utils/scripted.ts"
import { type Options, type Result, run, start } from "../utils/tinker.ts"

const tinker = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.flatMap(Service, ({ env }) => run(args, { ...options, env: { ...env, ...options.env } }))

const trained = (metadata?: { readonly [name: string]: string }) =>
  Effect.flatMap(Service, ({ train }) => Effect.orDie(train(metadata)))

const ok = ({ code, stderr, stdout }: Result): string => {
  assert.strictEqual(stderr, "")
  assert.strictEqual(code, 0)
  return stdout
}

const json = (result: Result) => JSON.parse(ok(result))

const failed = ({ code, stderr, stdout }: Result, message: RegExp | string, expected = 1): void => {
  assert.strictEqual(stdout, "")
  assert.match(stderr, /^Error: [^\n]+\n$/)
  if (typeof message === "string") assert.include(stderr, message)
  else assert.match(stderr, message)
  assert.strictEqual(code, expected)
}

const time = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{6})?\+00:00$/

layer(ServiceLive, { excludeTestServices: true })("tinker", (it) => {
  it.effect("run info", () =>
    Effect.gen(function* () {
      const id = yield* trained({ purpose: "a test" })
      const found = json(yield* tinker(["-f", "json", "run", "info", id]))
      assert.deepStrictEqual(Object.keys(found), [
        "training_run_id",
        "base_model",
        "model_owner",
        "is_lora",
        "corrupted",
        "lora_rank",
        "last_request_time",
        "last_checkpoint",
        "last_sampler_checkpoint",
        "user_metadata"
      ])
      assert.strictEqual(found.training_run_id, id)
      assert.strictEqual(found.lora_rank, 8)
      assert.match(found.last_request_time, time)
      assert.strictEqual(found.last_checkpoint.tinker_path, `tinker://${id}/weights/first`)
      assert.strictEqual(found.last_checkpoint.expires_at, null)
      assert.deepStrictEqual(found.user_metadata, { purpose: "a test" })

      const table = ok(yield* tinker(["run", "info", id]))
      assert.match(table, new RegExp(`Training Run: ${id}\n┏`))
      assert.match(table, /│ LoRA +│ Yes \(Rank 8\) +│/)
      assert.match(table, /│ {3}- Path +│ tinker:/)
      assert.match(table, /│ {3}- purpose +│ a test +│/)
    })
  )

  it.effect("run list", () =>
    Effect.gen(function* () {
      const ids = yield* Effect.all([trained(), trained(), trained()])
      const all = json(yield* tinker(["--format", "json", "run", "list", "--limit=0"]))
      assert.includeMembers(
        all.runs.map((found: { training_run_id: string }) => found.training_run_id),
        ids
      )
      const one = json(yield* tinker(["run", "list", "--limit", "1", "-f", "json"]))
      assert.strictEqual(one.runs.length, 1)
      const table = ok(yield* tinker(["run", "list", "--limit", "1", "-c", "status,id"]))
      assert.match(table.replace(/\s+/g, " "), /1 training run \(\d+ more not shown, use --limit to see more\) ┏/)
      assert.match(table, /┃ Status ┃ Run ID +┃/)
      failed(
        yield* tinker(["run", "list", "--columns", "id,foo"]),
        /Unknown column\(s\): foo\. Available: id, model/,
        2
      )
    })
  )

  it.effect("checkpoint list and info", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const path = `tinker://${id}/weights/first`
      const list = json(yield* tinker(["-f", "json", "checkpoint", "list", "--run-id", id]))
      assert.strictEqual(list.run_id, id)
      assert.sameMembers(
        list.checkpoints.map((found: { checkpoint_id: string }) => found.checkpoint_id),
        ["weights/first", "sampler_weights/final"]
      )
      const mine = json(yield* tinker(["-f", "json", "checkpoint", "list", "--limit", "1"]))
      assert.strictEqual(mine.checkpoints.length, 1)
      assert.notProperty(mine, "run_id")

      const info = json(yield* tinker(["-f", "json", "checkpoint", "info", path]))
      assert.deepInclude(info, { tinker_path: path, is_lora: true, lora_rank: 8, public: false })
      assert.match(info.time, time)
      assert.match(ok(yield* tinker(["checkpoint", "info", path])), /│ Expires +│ Never +│/)
      assert.include(ok(yield* tinker(["checkpoint", "list", "--run-id", id])), `2 checkpoints for run ${id}`)
      failed(yield* tinker(["checkpoint", "info", `tinker://${id}/weights/absent`]), "Resource not found")
      failed(yield* tinker(["checkpoint", "info", "run/weights/first"]), "Invalid checkpoint path: run/weights/first")
    })
  )

  it.effect("a table of seven columns at 40 columns is a list of records", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const text = ok(yield* tinker(["checkpoint", "list", "--run-id", id], { env: { COLUMNS: "40" } }))
      assert.isAtMost(Math.max(...text.split("\n").map((line) => line.length)), 40)
      assert.match(text, /^Checkpoint ID: +weights\/first$/m)
    })
  )

  it.effect("checkpoint publish, unpublish and set-ttl write nothing, unless JSON is asked for", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const path = `tinker://${id}/weights/first`
      const info = Effect.map(tinker(["-f", "json", "checkpoint", "info", path]), json)
      assert.strictEqual(ok(yield* tinker(["checkpoint", "publish", path])), "")
      assert.strictEqual((yield* info).public, true)
      failed(yield* tinker(["checkpoint", "publish", path]), "API error (status 409)")
      assert.deepStrictEqual(json(yield* tinker(["checkpoint", "unpublish", path, "-f", "json"])), {
        tinker_path: path,
        public: false
      })
      assert.strictEqual((yield* info).public, false)
      assert.strictEqual(ok(yield* tinker(["checkpoint", "set-ttl", path, "--ttl", "7200"])), "")
      assert.match((yield* info).expires_at, time)
      assert.strictEqual(ok(yield* tinker(["checkpoint", "set-ttl", "--remove", path])), "")
      assert.strictEqual((yield* info).expires_at, null)
      failed(yield* tinker(["checkpoint", "set-ttl", path]), "Must specify either --ttl <seconds> or --remove")
      failed(yield* tinker(["checkpoint", "set-ttl", path, "--ttl", "1", "--remove"]), "Cannot specify both")
    })
  )

  it.effect("checkpoint delete", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const path = `tinker://${id}/weights/first`
      const left = Effect.map(tinker(["-f", "json", "checkpoint", "list", "--run-id", id]), (result) =>
        json(result).checkpoints.map((found: { checkpoint_id: string }) => found.checkpoint_id)
      )
      // nobody answers, or the answer is no
      const silent = yield* tinker(["checkpoint", "delete", path])
      assert.strictEqual(silent.code, 1)
      assert.include(silent.stderr, "Will delete 1 checkpoint(s):")
      assert.include(silent.stderr, "Error: Nothing was deleted")
      const no = yield* tinker(["checkpoint", "delete", path], { input: "n\n" })
      assert.strictEqual(no.code, 0)
      assert.strictEqual(no.stdout, "Deletion cancelled.\n")
      assert.strictEqual((yield* left).length, 2)

      const none = yield* tinker(["checkpoint", "delete", "--run-id", id, "--before", "2020-01-01", "-y"])
      assert.strictEqual(ok(none), `No checkpoints found for run ${id} matching filters\n`)
      const yes = yield* tinker(
        ["checkpoint", "delete", "--run-id", id, "--type", "weights", "--after", "2020-01-01T00:00:00+02:00"],
        { input: "y\n" }
      )
      assert.strictEqual(yes.stdout, "Deleted 1 checkpoint(s)\n")
      assert.match(yes.stderr, /weights\/first \(.+, created just now\)/)
      assert.deepStrictEqual(yield* left, ["sampler_weights/final"])

      const absent = yield* tinker([
        "-f",
        "json",
        "checkpoint",
        "delete",
        "-y",
        path,
        `tinker://${id}/sampler_weights/final`
      ])
      const { deleted_count, failed: refused } = json(absent)
      assert.strictEqual(deleted_count, 1)
      assert.strictEqual(refused[0].tinker_path, path)
      assert.include(refused[0].error, "Resource not found")
      assert.deepStrictEqual(yield* left, [])

      failed(yield* tinker(["checkpoint", "delete"]), "Must specify checkpoint paths or --run-id")
      failed(yield* tinker(["checkpoint", "delete", path, "--run-id", id]), "Cannot specify both")
      failed(yield* tinker(["checkpoint", "delete", path, "--type", "weights"]), "require --run-id")
      failed(yield* tinker(["checkpoint", "delete", "--run-id", id, "--type", "x"]), "Invalid checkpoint type: x")
      failed(yield* tinker(["checkpoint", "delete", "--run-id", id, "--before", "soon"]), "Invalid date: soon")
    })
  )

  it.scoped("checkpoint download", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const cwd = yield* directory
      const path = `tinker://${id}/sampler_weights/final`
      const found = json(yield* tinker(["-f", "json", "checkpoint", "download", path, "-o", "models"], { cwd }))
      const destination = join(cwd, "models", `${id}_sampler_weights_final`)
      assert.strictEqual(found.checkpoint_path, path)
      assert.isTrue(found.destination.endsWith(`/models/${id}_sampler_weights_final`))
      assert.isAbove(found.file_size_bytes, 0)
      assert.isAbove(readdirSync(destination).length, 0)
      failed(
        yield* tinker(["checkpoint", "download", path, "-o", "models"], { cwd }),
        "Target directory already exists"
      )
      writeFileSync(join(destination, "old"), "")
      const again = ok(yield* tinker(["checkpoint", "download", "--force", path, "--output", "models"], { cwd }))
      assert.match(again, /│ Checkpoint Path +│ tinker:/)
      assert.notInclude(readdirSync(destination), "old")
    })
  )

  it.effect("model list", () =>
    Effect.gen(function* () {
      const { models } = json(yield* tinker(["-f", "json", "model", "list"]))
      assert.isAbove(models.length, 0)
      assert.hasAllKeys(models[0], ["model_name", "max_context_length", "trainable", "sampleable"])
      const part = models[0].model_name.slice(1).toUpperCase()
      assert.include(ok(yield* tinker(["model", "list", part])), models[0].model_name)
      failed(yield* tinker(["model", "list", "absent"]), "No model name contains 'absent'")
    })
  )

  const usage = {
    data: [
      {
        bucket_start: "2026-07-13T00:00:00Z",
        bucket_end: "2026-07-13T01:00:00Z",
        base_model: "Qwen/Qwen3-8B",
        session_id: "s-1",
        event_info: { type: "training", token_count: 12 }
      },
      {
        bucket_start: "2026-07-13T00:00:00Z",
        bucket_end: "2026-07-13T01:00:00Z",
        estimated_cost_usd: 0.5,
        event_info: { type: "storage", free: true, gigabyte_hours: 1.5 }
      }
    ],
    sessions: { "s-1": { user_metadata: { note: 'a "quoted", one' } } },
    cost_data_through: "2026-07-13T00:00:00Z"
  }
  const window = ["2026-07-13T00:00:00Z", "2026-07-14T00:00:00Z"]

  it.scoped("billing usage", () =>
    Effect.gen(function* () {
      const TINKER_BASE_URL = yield* scripted((request, response) => {
        const right =
          request.url ===
          `/api/v1/billing/usage/events?starting_on=2026-07-13T00%3A00%3A00.000Z&ending_before=2026-07-14T00%3A00%3A00.000Z`
        response.writeHead(right ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(usage))
      })
      const env = { TINKER_BASE_URL }
      const found = json(yield* tinker(["-f", "json", "billing", "usage", ...window], { env }))
      assert.deepStrictEqual(found.data[0], {
        bucket_start: "2026-07-13T00:00:00Z",
        bucket_end: "2026-07-13T01:00:00Z",
        base_model: "Qwen/Qwen3-8B",
        user_id: null,
        user_name: null,
        session_id: "s-1",
        project_id: null,
        estimated_cost_usd: null,
        effective_rate_usd_per_million_tokens: null,
        effective_rate_usd_per_gigabyte_month: null,
        event_info: { type: "training", token_count: 12 }
      })
      assert.deepStrictEqual(found.sessions, usage.sessions)
      assert.strictEqual(found.cost_data_through, "2026-07-13T00:00:00Z")
      assert.include(ok(yield* tinker(["billing", "usage", ...window], { env })), "2 hourly usage row(s)")
      const csv = ok(yield* tinker(["billing", "usage", ...window, "--csv", "-"], { env }))
      assert.deepStrictEqual(csv.split("\r\n"), [
        "bucket_start,bucket_end,base_model,user_id,user_name,session_id,project_id,estimated_cost_usd," +
          "effective_rate_usd_per_million_tokens,effective_rate_usd_per_gigabyte_month,type,token_count,free,gigabyte_hours",
        "2026-07-13T00:00:00Z,2026-07-13T01:00:00Z,Qwen/Qwen3-8B,,,s-1,,,,,training,12,,",
        "2026-07-13T00:00:00Z,2026-07-13T01:00:00Z,,,,,,0.5,,,storage,,True,1.5",
        ""
      ])
      const cwd = yield* directory
      const sessions = yield* tinker(["billing", "usage", ...window, "--sessions-csv", "out/s.csv"], { env, cwd })
      assert.deepStrictEqual(sessions, { code: 0, stdout: "", stderr: "Wrote 1 row(s) to out/s.csv\n" })
      assert.strictEqual(
        readFileSync(join(cwd, "out/s.csv"), "utf8"),
        'session_id,user_metadata\r\ns-1,"{""note"":""a \\""quoted\\"", one""}"\r\n'
      )
      failed(yield* tinker(["billing", "usage", "now", "later"], { env }), "Invalid STARTING_ON: now")
    })
  )

  it.effect("billing of a service that bills nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual(ok(yield* tinker(["billing", "usage", ...window])), "No billing usage in this window\n")
      const storage = json(yield* tinker(["-f", "json", "billing", "checkpoint-storage"]))
      assert.hasAllKeys(storage, ["effective_rate_usd_per_gigabyte_month", "data"])
    })
  )

  it.scoped("session export-trace", () =>
    Effect.gen(function* () {
      const trace = "a trace"
      const base: { url: string } = { url: "" }
      base.url = yield* scripted((request, response) => {
        // the signed URL is fetched without the key
        if (request.url === "/trace?signature=x" && request.headers["x-api-key"] === undefined) response.end(trace)
        else if (request.url === "/api/v1/sessions/s-1/trace_export") {
          response.setHeader("content-type", "application/json")
          response.end(JSON.stringify({ status: "ready", url: `${base.url}/trace?signature=x` }))
        } else response.writeHead(404).end("{}")
      })
      const cwd = yield* directory
      const options = { env: { TINKER_BASE_URL: base.url }, cwd }
      const saved = yield* tinker(["session", "export-trace", "s-1"], options)
      assert.include(saved.stdout, "│ Size       │ 7 B")
      assert.include(saved.stderr, "Exporting trace for session s-1")
      assert.strictEqual(readFileSync(join(cwd, "s-1.pftrace"), "utf8"), trace)
      const named = json(yield* tinker(["-f", "json", "session", "export-trace", "s-1", "-o", "a/b.pftrace"], options))
      assert.deepStrictEqual(named, { session_id: "s-1", destination: "a/b.pftrace", file_size_bytes: 7 })
      const only = yield* tinker(["session", "export-trace", "s-1", "--url-only"], options)
      assert.strictEqual(only.stdout, `${base.url}/trace?signature=x\n`)
    })
  )

  it.scoped("session export-trace of the embedded service, or why there is none", () =>
    Effect.gen(function* () {
      const { sessionId } = yield* Service
      const run = yield* trained()
      const cwd = yield* directory
      const saved = json(yield* tinker(["-f", "json", "session", "export-trace", sessionId], { cwd }))
      const { traceEvents } = JSON.parse(readFileSync(saved.destination, "utf8"))
      assert.include(
        traceEvents.map(({ args }: { args: { name?: string } }) => args.name),
        run
      )
      failed(yield* tinker(["-f", "json", "session", "export-trace", "none"], { cwd }), "no session none")
    })
  )

  for (const [status, title] of [
    [400, "Invalid request"],
    [401, "Authentication failed"],
    [402, "Billing issue"],
    [403, "Permission denied"],
    [404, "Resource not found"],
    [409, "API error (status 409)"],
    [418, "API error (status 418)"],
    [422, "Invalid data provided"],
    [429, "Rate limit exceeded"],
    [500, "Internal server error"]
  ] as const) {
    it.scoped(`says ${status} in one line with the request id, and never the key`, () =>
      Effect.gen(function* () {
        const TINKER_BASE_URL = yield* scripted((request, response) => {
          response.writeHead(status, {
            "content-type": "application/json",
            "x-should-retry": "false",
            "x-request-id": "req-7"
          })
          response.end(JSON.stringify({ detail: `no good:\nyour key is ${request.headers["x-api-key"]}` }))
        })
        const result = yield* tinker(["run", "list"], { env: { TINKER_BASE_URL } })
        failed(result, `Error: ${title}: `)
        assert.include(result.stderr, "req-7")
        assert.include(result.stderr, "your key is <redacted>")
        assert.notInclude(result.stderr, key)
      })
    )
  }

  it.effect("says what is wrong with the settings", () =>
    Effect.gen(function* () {
      failed(
        yield* tinker(["run", "list"], { env: { TINKER_API_KEY: undefined } }),
        /Configuration error.*TINKER_API_KEY/
      )
      failed(
        yield* tinker(["run", "list"], { env: { TINKER_BASE_URL: "nowhere" } }),
        /Configuration error.*TINKER_BASE_URL/
      )
      failed(yield* tinker(["run", "list"], { env: { TINKER_API_KEY: "tml-wrong-key" } }), "Authentication failed")
    })
  )

  it.scoped("ends with 130 on SIGINT, 143 on SIGTERM, and leaves no file", () =>
    Effect.gen(function* () {
      const { env } = yield* Service
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143]
      ] as const) {
        const asked: { resolve: () => void } = { resolve: () => undefined }
        const waiting = new Promise<void>((resolve) => {
          asked.resolve = resolve
        })
        const TINKER_BASE_URL = yield* scripted((request, response) => {
          if (request.url?.startsWith("/api") === true) {
            response.setHeader("content-type", "application/json")
            response.end(JSON.stringify({ status: "ready", url: `http://${request.headers.host}/trace` }))
          } else {
            response.write("half")
            asked.resolve()
          }
        })
        const cwd = yield* directory
        const running = yield* start(["session", "export-trace", "s-1"], { env: { ...env, TINKER_BASE_URL }, cwd })
        yield* Effect.promise(() => waiting)
        running.child.kill(signal)
        const result = yield* running.result
        assert.strictEqual(result.code, code)
        assert.strictEqual(result.stdout, "")
        assert.isFalse(existsSync(join(cwd, "s-1.pftrace")) || existsSync(join(cwd, "s-1.pftrace.part")))
      }
    })
  )
})
