import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run, start } from "../../utils/tinker.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tinker-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

// the real engine
describe("tinker", () => {
  it.scopedLive("serve says how to reach it, and ends cleanly on SIGINT", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const serving = yield* start(["serve", "--port", "0"], { cwd, local: true })
      const [, url, key] = yield* serving.until(
        /^export TINKER_BASE_URL=(http:\/\/127\.0\.0\.1:\d+)\nexport TINKER_API_KEY=(\S+)\n$/
      )
      const env = { TINKER_BASE_URL: url, TINKER_API_KEY: key }
      const models = yield* run(["-f", "json", "model", "list"], { env })
      assert.strictEqual(JSON.parse(models.stdout).models[0].model_name, "effect-tinker/nano")
      const port = new URL(url!).port
      const taken = yield* run(["serve", "--port", port], { cwd, local: true })
      assert.strictEqual(taken.code, 1)
      assert.match(taken.stderr, /^Error: [^\n]*EADDRINUSE[^\n]*\n$/)
      serving.child.kill("SIGINT")
      const { code, stderr } = yield* serving.result
      assert.strictEqual(code, 130)
      assert.strictEqual(stderr, "")
    })
  )

  it.scopedLive("serve keeps its keys to itself, and asks for them", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const key = "tml-a-key-of-mine"
      const serving = yield* start(["-f", "json", "serve", "--port", "0", "--key", key], { cwd, local: true })
      yield* serving.until(/^\{[\s\S]*\}\n$/)
      serving.child.kill("SIGTERM")
      const { code, stderr, stdout } = yield* serving.result
      assert.strictEqual(code, 143)
      assert.hasAllKeys(JSON.parse(stdout), ["TINKER_BASE_URL"])
      assert.notInclude(stdout + stderr, key)
      const open = yield* run(["serve", "--host", "0.0.0.0", "--port", "0"], { cwd, local: true })
      assert.strictEqual(open.code, 1)
      assert.match(open.stderr, /^Error: [^\n]*without API keys[^\n]*\n$/)
    })
  )

  it.scopedLive("train and sample without a key, on the embedded service", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const record = JSON.stringify({ prompt: "walk ->", completion: " walked\n" })
      writeFileSync(join(cwd, "data.jsonl"), `${record}\n`.repeat(12))
      const args = ["-f", "json", "train", "data.jsonl", "--steps", "6", "--batch-size", "8"]
      const trained = yield* run(args, { cwd, local: true })
      assert.strictEqual(trained.code, 0, trained.stderr)
      const result = JSON.parse(trained.stdout)
      assert.isBelow(result.held_out_loss_after, result.held_out_loss_before / 2)
      // another process finds the weights
      const sampled = yield* run(
        ["sample", "walk ->", "-c", result.sampler_path, "--temperature", "0", "--max-tokens", "12"],
        { cwd, local: true }
      )
      assert.strictEqual(sampled.stderr, "")
      assert.strictEqual(sampled.stdout.trim(), "walked")
    })
  )
})
