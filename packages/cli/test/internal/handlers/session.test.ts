import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { failed, json, tinker, trained } from "../../utils/command.ts"
import { directory, stubServer } from "../../utils/fixtures.ts"
import { layer as ServiceLive, Service } from "../../utils/service.ts"
import { start } from "../../utils/tinker.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker session", (it) => {
  it.scoped("export-trace downloads a trace without sending the API key, or prints its URL", () =>
    Effect.gen(function* () {
      const trace = "a trace"
      const base: { url: string } = { url: "" }
      base.url = yield* stubServer((request, response) => {
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

  it.scoped("export-trace exports the runs of a session, and fails for an unknown session", () =>
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

  it.scoped("export-trace ends with 130 on SIGINT and 143 on SIGTERM, without a partial file", () =>
    Effect.gen(function* () {
      const { env } = yield* Service
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143]
      ] as const) {
        const requested: { resolve: () => void } = { resolve: () => undefined }
        const waiting = new Promise<void>((resolve) => {
          requested.resolve = resolve
        })
        const TINKER_BASE_URL = yield* stubServer((request, response) => {
          if (request.url?.startsWith("/api") === true) {
            response.setHeader("content-type", "application/json")
            response.end(JSON.stringify({ status: "ready", url: `http://${request.headers.host}/trace` }))
          } else {
            response.write("half")
            requested.resolve()
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
