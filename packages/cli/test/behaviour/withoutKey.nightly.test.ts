import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory } from "../utils/fixtures.ts"
import { run } from "../utils/tinker.ts"

// with the real engine
describe("tinker", () => {
  it.scopedLive(
    "trains without an API key on the embedded service, and samples from the weights in another process",
    () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        const verbs = ["walk", "talk", "play", "jump", "cook", "pull", "push", "wash", "look", "help", "call", "work"]
        const records = verbs.map((verb) => JSON.stringify({ prompt: `${verb} ->`, completion: ` ${verb}ed\n` }))
        writeFileSync(join(cwd, "data.jsonl"), `${records.join("\n")}\n`)
        const args = ["-f", "json", "train", "data.jsonl", "--steps", "6", "--batch-size", "8"]
        const trained = yield* run(args, { cwd })
        assert.strictEqual(trained.code, 0, trained.stderr)
        const result = JSON.parse(trained.stdout)
        assert.isBelow(result.held_out_loss_after, result.held_out_loss_before / 2)
        const sampled = yield* run(
          ["sample", "walk ->", "-c", result.sampler_path, "--temperature", "0", "--max-tokens", "12"],
          { cwd }
        )
        assert.strictEqual(sampled.stderr, "")
        assert.strictEqual(sampled.stdout.trim(), "walked")
        // so do lists, on the same store
        const listed = yield* run(["-f", "json", "checkpoint", "list"], { cwd })
        assert.include(listed.stdout, result.sampler_path, listed.stderr)
      })
  )
})
