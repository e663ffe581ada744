import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { failed, json, ok, tinker, trained } from "../../../utils/command.ts"
import { layer as ServiceLive } from "../../../utils/service.ts"

layer(ServiceLive, { excludeTestServices: true })("tinker checkpoint delete", (it) => {
  it.effect("deletes what was selected, once the deletion is confirmed", () =>
    Effect.gen(function* () {
      const id = yield* trained()
      const path = `tinker://${id}/weights/first`
      const left = Effect.map(tinker(["-f", "json", "checkpoint", "list", "--run-id", id]), (result) =>
        json(result).checkpoints.map((found: { checkpoint_id: string }) => found.checkpoint_id)
      )
      // standard input is closed, or the answer is no
      const silent = yield* tinker(["checkpoint", "delete", path])
      assert.strictEqual(silent.code, 1)
      assert.include(silent.stderr, "Will delete 1 checkpoint(s):")
      assert.include(silent.stderr, "Error: Nothing was deleted")
      const no = yield* tinker(["checkpoint", "delete", path], { input: "n\n" })
      assert.strictEqual(no.code, 0)
      assert.strictEqual(no.stdout, "Deletion cancelled.\n")
      assert.strictEqual((yield* left).length, 2)

      const none = yield* tinker(["checkpoint", "delete", "--run-id", id, "--before", "2020-01-01", "-y"])
      assert.strictEqual(ok(none), `No checkpoints found for run ${id} matching filters\n`)
      const yes = yield* tinker(
        ["checkpoint", "delete", "--run-id", id, "--type", "weights", "--after", "2020-01-01T00:00:00+02:00"],
        { input: "y\n" }
      )
      assert.strictEqual(yes.stdout, "Deleted 1 checkpoint(s)\n")
      assert.match(yes.stderr, /weights\/first \(.+, created just now\)/)
      assert.deepStrictEqual(yield* left, ["sampler_weights/final"])

      const absent = yield* tinker([
        "-f",
        "json",
        "checkpoint",
        "delete",
        "-y",
        path,
        `tinker://${id}/sampler_weights/final`
      ])
      const { deleted_count, failed: rejected } = json(absent)
      assert.strictEqual(deleted_count, 1)
      assert.strictEqual(rejected[0].tinker_path, path)
      assert.include(rejected[0].error, "Resource not found")
      assert.deepStrictEqual(yield* left, [])

      failed(yield* tinker(["checkpoint", "delete"]), "Must specify checkpoint paths or --run-id")
      failed(yield* tinker(["checkpoint", "delete", path, "--run-id", id]), "Cannot specify both")
      failed(yield* tinker(["checkpoint", "delete", path, "--type", "weights"]), "require --run-id")
      failed(yield* tinker(["checkpoint", "delete", "--run-id", id, "--type", "x"]), "Invalid checkpoint type: x")
      failed(yield* tinker(["checkpoint", "delete", "--run-id", id, "--before", "soon"]), "Invalid date: soon")
    })
  )
})
