import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, writeFileSync } from "node:fs"
import { directory } from "../../utils/fixtures.ts"
import { run, start } from "../../utils/tinker.ts"

// with the real engine
describe("tinker serve", () => {
  it.scopedLive("prints the environment variables that a client needs, and stops on SIGINT", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const origin = "https://app.test"
      const serving = yield* start(["serve", "--port", "0", "--allow-origin", origin], { cwd })
      const [, url, key, model, tokenizer] = yield* serving.until(
        /^export TINKER_BASE_URL=(http:\/\/127\.0\.0\.1:\d+)\nexport TINKER_API_KEY=(\S+)\n# tokenizer of (\S+): (.+)\n(?:# .*\n){2}$/
      )
      assert.strictEqual(model, "effect-tinker/nano")
      assert.isTrue(existsSync(`${tokenizer}/tokenizer.json`), tokenizer)
      const env = { TINKER_BASE_URL: url, TINKER_API_KEY: key }
      const models = yield* run(["-f", "json", "model", "list"], { env })
      assert.strictEqual(JSON.parse(models.stdout).models[0].model_name, "effect-tinker/nano")
      const fetched = (headers: Record<string, string>) =>
        Effect.promise(() => fetch(`${url}/api/v1/healthz`, { headers }))
      const allowed = yield* fetched({ origin })
      assert.strictEqual(allowed.headers.get("access-control-allow-origin"), origin)
      assert.strictEqual((yield* fetched({ origin: "https://other.test" })).status, 403)
      const port = new URL(url!).port
      const second = yield* run(["serve", "--port", "0"], { cwd })
      assert.strictEqual(second.code, 1)
      assert.match(second.stderr, /^Error: [^\n]*another service listens on it[^\n]*PostgreSQL[^\n]*\n$/)
      const taken = yield* run(["serve", "--port", port, "--checkpoints", "others"], { cwd })
      assert.strictEqual(taken.code, 1)
      assert.match(taken.stderr, /^Error: [^\n]*EADDRINUSE[^\n]*\n$/)
      serving.child.kill("SIGINT")
      const { code, stderr } = yield* serving.result
      assert.strictEqual(code, 130)
      assert.strictEqual(stderr, "")
    })
  )

  it.scopedLive("takes its API keys from the environment and from a file, without a warning", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      yield* Effect.sync(() => writeFileSync(`${cwd}/keys`, "# of the team\ntml-from-file\n\n"))
      const env = { TINKER_SERVE_KEYS: "tml-first, tml-second" }
      const args = ["-f", "json", "serve", "--port", "0", "--keys-file", "keys"]
      const serving = yield* start(args, { cwd, env })
      const [text] = yield* serving.until(/^\{[\s\S]*\}\n$/)
      const url = JSON.parse(text).TINKER_BASE_URL as string
      const statusOf = (key: string) =>
        Effect.promise(() => fetch(`${url}/api/v1/healthz`, { headers: { "x-api-key": key } }).then((r) => r.status))
      for (const key of ["tml-first", "tml-second", "tml-from-file"]) assert.strictEqual(yield* statusOf(key), 200)
      assert.strictEqual(yield* statusOf("# of the team"), 401)
      serving.child.kill("SIGTERM")
      assert.strictEqual((yield* serving.result).stderr, "")
    })
  )

  it.scopedLive("logs requests if it is told to, and rejects numbers that mean nothing", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const args = ["serve", "--port", "0", "--quota", "1GB", "--drain-seconds", "0.5", "--log-requests"]
      const serving = yield* start(["-f", "json", ...args], { cwd })
      const [text] = yield* serving.until(/^\{[\s\S]*\}\n$/)
      yield* Effect.promise(() => fetch(`${JSON.parse(text).TINKER_BASE_URL}/api/v1/readyz?secret`))
      serving.child.kill("SIGTERM")
      const { stderr } = yield* serving.result
      assert.match(stderr, /^debug: request [\da-f-]{36}: GET \/api\/v1\/readyz 200 in \d+ ms, user local\n/)
      for (const [option, value] of [
        ["--quota", "lots"],
        ["--drain-seconds", "1e9"],
        ["--port", "65536"]
      ] as const) {
        const { code, stderr } = yield* run(["serve", option, value], { cwd })
        assert.strictEqual(code, 2)
        assert.include(stderr, `${option} is `)
      }
    })
  )

  it.scopedLive("never prints its API keys, and requires one to listen on a public address", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const key = "tml-a-key-of-mine"
      const serving = yield* start(["-f", "json", "serve", "--port", "0", "--key", key], { cwd })
      yield* serving.until(/^\{[\s\S]*\}\n$/)
      serving.child.kill("SIGTERM")
      const { code, stderr, stdout } = yield* serving.result
      assert.strictEqual(code, 143)
      assert.hasAllKeys(JSON.parse(stdout), ["TINKER_BASE_URL", "tokenizers"])
      assert.notInclude(stdout + stderr, key)
      assert.match(stderr, /^warning: --key shows in the process list: set TINKER_SERVE_KEYS, or --keys-file\n$/)
      const open = yield* run(["serve", "--host", "0.0.0.0", "--port", "0"], { cwd })
      assert.strictEqual(open.code, 1)
      assert.match(open.stderr, /^Error: [^\n]*without API keys[^\n]*\n$/)
    })
  )
})
