import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { layer as ServiceLive, Service, tokenizerDirectory } from "../../utils/service.ts"
import { run } from "../../utils/tinker.ts"

const names = ["key", "url", "reachability", "clock", "heartbeat", "models", "queue", "tokenizer"]

layer(ServiceLive, { excludeTestServices: true })("tinker doctor", (it) => {
  it.effect("prints one line for each check", () =>
    Effect.gen(function* () {
      const { env } = yield* Service
      const all = { env: { ...env, TINKER_TOKENIZER: tokenizerDirectory } }
      const { code, stderr, stdout } = yield* run(["doctor"], all)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(
        stdout
          .trim()
          .split("\n")
          .map((line) => line.split(":")[0]),
        names.map((name) => `✓ ${name}`)
      )
      const json = JSON.parse((yield* run(["-f", "json", "doctor"], all)).stdout)
      assert.isTrue(json.ok)
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
        const { code, stderr, stdout } = yield* run(["doctor"], {
          env: { ...env, TINKER_TOKENIZER: tokenizerDirectory, ...change }
        })
        assert.strictEqual(code, 1)
        assert.match(stdout, advice)
        assert.strictEqual(stderr, `Error: Something is broken: ${broken}\n`)
        assert.notInclude(stdout + stderr, env.TINKER_API_KEY)
      })
    )
  }
})
