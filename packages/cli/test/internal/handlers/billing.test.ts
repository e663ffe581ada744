import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { failed, json, ok, tinker } from "../../utils/command.ts"
import { directory, stubServer } from "../../utils/fixtures.ts"
import { layer as ServiceLive } from "../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker billing", (it) => {
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

  it.scoped("usage prints a table, JSON or CSV", () =>
    Effect.gen(function* () {
      const TINKER_BASE_URL = yield* stubServer((request, response) => {
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

  it.scoped("writes no CSV that a spreadsheet runs, unless --raw-csv is set", () =>
    Effect.gen(function* () {
      const TINKER_BASE_URL = yield* stubServer((request, response) => {
        const body = request.url!.includes("/usage/events")
          ? { ...usage, data: [{ ...usage.data[0], user_name: "=1+1" }], sessions: { "@s": {} } }
          : {
              data: [
                {
                  user_name: '=cmd|"x"',
                  checkpoint_count: 1,
                  size_bytes: 1,
                  size_gigabytes: 1,
                  estimated_monthly_cost_usd: -0.5
                }
              ]
            }
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body))
      })
      const env = { TINKER_BASE_URL }
      const events = ["billing", "usage", ...window, "--csv", "-"]
      const sessions = ["billing", "usage", ...window, "--sessions-csv", "-"]
      const storage = ["billing", "checkpoint-storage", "--csv", "-"]
      assert.include(ok(yield* tinker(events, { env })), ",'=1+1,")
      assert.include(ok(yield* tinker([...events, "--raw-csv"], { env })), ",=1+1,")
      assert.include(ok(yield* tinker(sessions, { env })), "\r\n'@s,\r\n")
      assert.include(ok(yield* tinker([...sessions, "--raw-csv"], { env })), "\r\n@s,\r\n")
      assert.include(ok(yield* tinker(storage, { env })), `,"'=cmd|""x""",1,1,1,-0.5\r\n`)
      assert.include(ok(yield* tinker([...storage, "--raw-csv"], { env })), ',"=cmd|""x""",1,1,1,-0.5\r\n')
    })
  )

  it.effect("usage and checkpoint-storage print no rows for a service that bills nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual(ok(yield* tinker(["billing", "usage", ...window])), "No billing usage in this window\n")
      const storage = json(yield* tinker(["-f", "json", "billing", "checkpoint-storage"]))
      assert.hasAllKeys(storage, ["effective_rate_usd_per_gigabyte_month", "data"])
    })
  )
})
