import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { layer as ServiceLive, Service, tokenizerDirectory } from "../../utils/service.ts"
import { makeProxy } from "../../utils/proxy.ts"
import { stubServer } from "../../utils/fixtures.ts"
import { run, start } from "../../utils/tinker.ts"

const names = ["key", "url", "reachability", "clock", "heartbeat", "models", "queue", "tokenizer"]

const trialNames = ["slots", "encoding", "losses", "loss value", "save", "sample", "stop", "routes"]

layer(ServiceLive, { excludeTestServices: true })("tinker doctor", (it) => {
  it.effect("prints one line for each check", () =>
    Effect.gen(function* () {
      const { env } = yield* Service
      const all = { env: { ...env, TINKER_TOKENIZER: tokenizerDirectory } }
      const { code, stderr, stdout } = yield* run(["doctor", "--no-try"], all)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(
        stdout
          .trim()
          .split("\n")
          .map((line) => line.split(":")[0]),
        names.map((name) => `✓ ${name}`)
      )
    })
  )

  it.effect("tries the service on this computer, and prints what it can do", () =>
    Effect.gen(function* () {
      const { env } = yield* Service
      const all = { env: { ...env, TINKER_TOKENIZER: tokenizerDirectory, COLUMNS: "80" } }
      const { code, stderr, stdout } = yield* run(["doctor"], all)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      const rows = stdout.split("\n").filter((line) => /^│ \w/.test(line))
      assert.deepStrictEqual(
        rows.map((row) =>
          row
            .split("│")
            .slice(1, 3)
            .map((cell) => cell.trim())
        ),
        trialNames.map((name) => [name, "ok"])
      )
      assert.match(stdout, /encoding +│ ok +│ protobuf/)
      assert.match(stdout, /losses +│ ok +│ cross_entropy, importance_sampling/)
      assert.isTrue(stdout.split("\n").every((line) => line.startsWith("✓") || line.length <= 80))
      const json = JSON.parse((yield* run(["doctor", "--json"], all)).stdout)
      assert.isTrue(json.ok)
      assert.deepStrictEqual(json.settings, ["TINKER_API_KEY", "TINKER_BASE_URL", "TINKER_TOKENIZER"])
      assert.deepStrictEqual(
        json.trial.map(({ name }: { name: string }) => name),
        trialNames
      )
      assert.notInclude(JSON.stringify(json), env.TINKER_API_KEY)
      // what it made is gone
      const { checkpoints } = JSON.parse((yield* run(["-f", "json", "checkpoint", "list"], all)).stdout)
      assert.notInclude(JSON.stringify(checkpoints), "doctor-")
    })
  )

  it.scoped("says elsewhere what it will spend, tries only on request, and deletes what it made when interrupted", () =>
    Effect.gen(function* () {
      const { env } = yield* Service
      let held = () => undefined as void
      const isHeld = new Promise<void>((resolve) => (held = resolve))
      const proxy = yield* makeProxy(env.TINKER_BASE_URL, (target) => {
        const isRoute = target.includes("/checkpoints?limit=1")
        if (isRoute) held()
        return isRoute
      })
      const elsewhere = {
        env: {
          ...env,
          TINKER_BASE_URL: "http://service.test",
          HTTP_PROXY: proxy.url,
          TINKER_TOKENIZER: tokenizerDirectory
        }
      }
      const plain = yield* run(["doctor"], elsewhere)
      assert.strictEqual(plain.code, 0)
      assert.notInclude(plain.stdout, "What the service can do")
      const running = yield* start(["doctor", "--try"], elsewhere)
      yield* Effect.raceFirst(
        Effect.promise(() => isHeld),
        running.result
      )
      running.child.kill("SIGINT")
      const { code, stderr } = yield* running.result
      assert.strictEqual(code, 130)
      assert.match(stderr, /^Trying .*forward passes of 3 tokens.* saves one checkpoint, which it deletes\..*charge/)
      const deleted = proxy.received.filter(({ target }) => target.startsWith("DELETE "))
      assert.match(deleted[0]?.target ?? "", /\/checkpoints\/sampler_weights\/doctor-/)
    })
  )

  it.scoped("gives up early on a service that is not there", () =>
    Effect.gen(function* () {
      let requests = 0
      const TINKER_BASE_URL = yield* stubServer((request) => {
        requests++
        request.socket.destroy()
      })
      const { env } = yield* Service
      const { code, stdout } = yield* run(["doctor"], { env: { ...env, TINKER_BASE_URL } })
      assert.strictEqual(code, 1)
      assert.match(stdout, /✗ reachability: .*the connection was lost/)
      assert.isAtMost(requests, 6)
    })
  )

  for (const [name, change, broken, advice] of [
    ["no key", { TINKER_API_KEY: undefined }, "key", /✗ key: .* → set TINKER_API_KEY/],
    ["a wrong key", { TINKER_API_KEY: "tml-wrong-key" }, "reachability", /✗ reachability: .*401.* → .*make a new one/],
    ["a wrong URL", { TINKER_BASE_URL: "nowhere" }, "url", /✗ url: .* → set TINKER_BASE_URL/],
    [
      "no service",
      { TINKER_BASE_URL: "http://127.0.0.1:1" },
      "reachability",
      /✗ reachability: .* → check TINKER_BASE_URL/
    ],
    ["no such model", { TINKER_BASE_MODEL: "absent" }, "models", /✗ models: .*absent → see 'tinker model list'/],
    ["no tokenizer", { TINKER_TOKENIZER: "/absent" }, "tokenizer", /✗ tokenizer: .* → set HF_TOKEN/]
  ] as const) {
    it.effect(`suggests a fix for ${name}`, () =>
      Effect.gen(function* () {
        const { env } = yield* Service
        const { code, stderr, stdout } = yield* run(["doctor", "--no-try"], {
          env: { ...env, TINKER_TOKENIZER: tokenizerDirectory, ...change }
        })
        assert.strictEqual(code, 1)
        assert.match(stdout, advice)
        // a request that is sent again is said to be, above
        assert.strictEqual(stderr.replace(/^warn: .*\n/gm, ""), `Error: Something is broken: ${broken}\n`)
        assert.notInclude(stdout + stderr, env.TINKER_API_KEY)
      })
    )
  }
})
