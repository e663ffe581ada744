import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, json, ok, pythonTime, tinker, trained } from "../../utils/command.ts"
import { layer as ServiceLive } from "../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker run", (it) => {
  it.effect("info shows a training run with its last checkpoints and metadata", () =>
    Effect.gen(function* () {
      const id = yield* trained({ purpose: "a test" })
      const found = json(yield* tinker(["-f", "json", "run", "info", id]))
      assert.deepStrictEqual(Object.keys(found), [
        "training_run_id",
        "base_model",
        "model_owner",
        "is_lora",
        "corrupted",
        "lora_rank",
        "last_request_time",
        "last_checkpoint",
        "last_sampler_checkpoint",
        "user_metadata"
      ])
      assert.strictEqual(found.training_run_id, id)
      assert.strictEqual(found.lora_rank, 8)
      assert.match(found.last_request_time, pythonTime)
      assert.strictEqual(found.last_checkpoint.tinker_path, `tinker://${id}/weights/first`)
      assert.strictEqual(found.last_checkpoint.expires_at, null)
      assert.deepStrictEqual(found.user_metadata, { purpose: "a test" })

      const table = ok(yield* tinker(["run", "info", id]))
      assert.match(table, new RegExp(`Training Run: ${id}\n┏`))
      assert.match(table, /│ LoRA +│ Yes \(Rank 8\) +│/)
      assert.match(table, /│ {3}- Path +│ tinker:/)
      assert.match(table, /│ {3}- purpose +│ a test +│/)
    })
  )

  it.effect("list shows as many runs as --limit allows, with the columns of --columns", () =>
    Effect.gen(function* () {
      const ids = yield* Effect.all([trained(), trained(), trained()])
      const all = json(yield* tinker(["--format", "json", "run", "list", "--limit=0"]))
      assert.includeMembers(
        all.runs.map((found: { training_run_id: string }) => found.training_run_id),
        ids
      )
      const one = json(yield* tinker(["run", "list", "--limit", "1", "-f", "json"]))
      assert.strictEqual(one.runs.length, 1)
      const table = ok(yield* tinker(["run", "list", "--limit", "1", "-c", "status,id"]))
      assert.match(table.replace(/\s+/g, " "), /1 training run \(\d+ more not shown, use --limit to see more\) ┏/)
      assert.match(table, /┃ Status ┃ Run ID +┃/)
      failed(
        yield* tinker(["run", "list", "--columns", "id,foo"]),
        /Unknown column\(s\): foo\. Available: id, model/,
        2
      )
    })
  )
})
