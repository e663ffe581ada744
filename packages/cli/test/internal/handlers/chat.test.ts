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
})
