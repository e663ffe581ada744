import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { dataDirectory, tinker } from "../../utils/model.ts"
import { layer as ServiceLive } from "../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker chat", (it) => {
  it.scoped("continues a conversation with trained weights, and so does tinker sample", () =>
    Effect.gen(function* () {
      const cwd = yield* dataDirectory
      const trained = yield* tinker(["-f", "json", "train", "data.jsonl", "--epochs", "20", "-l", "0.2"], { cwd })
      const { sampler_path } = JSON.parse(trained.stdout)
      const weights = ["-c", sampler_path, "--temperature", "0", "--max-tokens", "4"]
      const sampled = yield* tinker(["sample", "say 2: a", ...weights])
      assert.strictEqual(sampled.stderr, "")
      assert.match(sampled.stdout, /^b/)
      const chatted = yield* tinker(["chat", ...weights], { input: "say 1\nsay 3\n" })
      assert.strictEqual(chatted.code, 0, chatted.stderr)
      assert.strictEqual(chatted.stdout.split("\n").length, 3)
      const json = yield* tinker(["-f", "json", "chat", "--system", "be brief", ...weights], { input: "say 1\n\n" })
      const { messages } = JSON.parse(json.stdout)
      assert.deepStrictEqual(
        messages.map(({ role }: { role: string }) => role),
        ["system", "user", "assistant"]
      )
    })
  )

  it.scoped("cuts the answer before a stop sequence, in every form of output", () =>
    Effect.gen(function* () {
      const plainArgs = ["chat", "--seed", "3", "--max-tokens", "12"]
      const whole = (yield* tinker(plainArgs, { input: "hello\n" })).stdout.trimEnd()
      const stop = whole.slice(6, 8)
      const cut = whole.slice(0, whole.indexOf(stop))
      const withStop = [...plainArgs, "--stop", stop]
      const [plain, streamed, json] = yield* Effect.all([
        tinker(withStop, { input: "hello\n" }),
        tinker([...withStop, "--stream"], { input: "hello\n" }),
        tinker(["-f", "json", ...withStop], { input: "hello\n" })
      ])
      assert.isAbove(cut.length, 0)
      assert.strictEqual(plain.stdout, `${cut}\n`)
      assert.strictEqual(streamed.stdout, `${cut}\n`)
      assert.strictEqual(JSON.parse(json.stdout).messages.at(-1).content, cut)
    })
  )
})
