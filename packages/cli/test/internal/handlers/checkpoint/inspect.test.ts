import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, json, ok, pythonTime, tinker, trained } from "../../../utils/command.ts"
import { layer as ServiceLive } from "../../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker checkpoint", (it) => {
  it.effect("list and info show checkpoints, and fail for paths that do not exist", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const path = `tinker://${id}/weights/first`
      const list = json(yield* tinker(["-f", "json", "checkpoint", "list", "--run-id", id]))
      assert.strictEqual(list.run_id, id)
      assert.sameMembers(
        list.checkpoints.map((found: { checkpoint_id: string }) => found.checkpoint_id),
        ["weights/first", "sampler_weights/final"]
      )
      const mine = json(yield* tinker(["-f", "json", "checkpoint", "list", "--limit", "1"]))
      assert.strictEqual(mine.checkpoints.length, 1)
      assert.notProperty(mine, "run_id")

      const info = json(yield* tinker(["-f", "json", "checkpoint", "info", path]))
      assert.deepInclude(info, { tinker_path: path, is_lora: true, lora_rank: 8, public: false })
      assert.match(info.time, pythonTime)
      assert.match(ok(yield* tinker(["checkpoint", "info", path])), /│ Expires +│ Never +│/)
      assert.include(ok(yield* tinker(["checkpoint", "list", "--run-id", id])), `2 checkpoints for run ${id}`)
      failed(yield* tinker(["checkpoint", "info", `tinker://${id}/weights/absent`]), "Resource not found")
      failed(yield* tinker(["checkpoint", "info", "run/weights/first"]), "Invalid checkpoint path: run/weights/first")
    })
  )

  it.effect("list prints records instead of a table on a terminal of 40 columns", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const text = ok(yield* tinker(["checkpoint", "list", "--run-id", id], { env: { COLUMNS: "40" } }))
      // a path is not broken, so that it can be copied
      const lines = text.split("\n").filter((line) => !line.includes("tinker://"))
      assert.isAtMost(Math.max(...lines.map((line) => line.length)), 40)
      assert.include(text, `tinker://${id}/weights/first\n`)
      assert.match(text, /^Checkpoint ID: +weights\/first$/m)
    })
  )
})
