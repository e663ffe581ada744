import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { tinker } from "../../utils/model.ts"
import { layer as ServiceLive } from "../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker sample", (it) => {
  it.effect("prints samples as text or JSON, and the same text with --stream", () =>
    Effect.gen(function* () {
      const args = ["sample", "say 1:", "--temperature", "0", "--max-tokens", "5"]
      const json = JSON.parse((yield* tinker(["-f", "json", ...args, "-n", "2"])).stdout)
      assert.strictEqual(json.prompt, "say 1:")
      assert.strictEqual(json.samples.length, 2)
      assert.deepStrictEqual(json.samples[0], json.samples[1])
      assert.strictEqual(json.samples[0].tokens.length, 5)
      const whole = yield* tinker(args)
      assert.strictEqual(whole.stdout, `${json.samples[0].text}\n`)
      const long = [...args.slice(0, -1), "40"]
      const [streamed, once] = yield* Effect.all([tinker([...long, "--stream"]), tinker(long)])
      assert.strictEqual(streamed.stdout, once.stdout)
      const input = yield* tinker(["sample", ...args.slice(2)], { input: "say 1:" })
      assert.strictEqual(input.stdout, whole.stdout)
      assert.strictEqual((yield* tinker(["sample"])).code, 2)
      const state = yield* tinker(["sample", "a", "-c", "tinker://run/weights/x"])
      assert.match(state.stderr, /cannot be sampled from/)
    })
  )
})
