import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as selection from "../../../src/internal/checkpoints/selection.ts"

const path = "tinker://run/weights/0001"
const none: selection.Options = {
  paths: [],
  runId: Option.none(),
  type: Option.none(),
  before: Option.none(),
  after: Option.none()
}
const ofRun = { ...none, runId: Option.some("run") }

describe("the selection of checkpoints to delete", () => {
  it.effect("is a list of paths", () =>
    Effect.map(selection.parse({ ...none, paths: [path] }), (selected) =>
      assert.deepStrictEqual(selected, { targets: [path] })
    )
  )

  it.effect("is a run with filters, whose times are in UTC unless they have a zone", () =>
    Effect.gen(function* () {
      const selected = yield* selection.parse({
        ...ofRun,
        type: Option.some("sampler_weights"),
        after: Option.some("2024-01-01 12:00"),
        before: Option.some("2024-01-02T00:00:00+02:00")
      })
      assert(!("targets" in selected))
      assert.strictEqual(selected.training_run_id, "run")
      assert.strictEqual(selected.checkpoint_type, "sampler")
      assert.strictEqual(DateTime.formatIso(selected.after!), "2024-01-01T12:00:00.000Z")
      assert.strictEqual(DateTime.formatIso(selected.before!), "2024-01-01T22:00:00.000Z")
    })
  )

  for (const [name, options, message] of [
    ["nothing", none, /^Must specify checkpoint paths or --run-id/],
    ["paths and a run", { ...ofRun, paths: [path] }, /^Cannot specify both/],
    ["a filter without a run", { ...none, paths: [path], type: Option.some("weights") }, /require --run-id$/],
    ["an invalid path", { ...none, paths: ["weights/0001"] }, /^Invalid checkpoint path: weights\/0001/],
    ["an invalid type", { ...ofRun, type: Option.some("optimizer") }, /^Invalid checkpoint type: optimizer/],
    ["an invalid date", { ...ofRun, after: Option.some("2024-13-01") }, /^Invalid date: 2024-13-01\. Give --after/]
  ] as const) {
    it.effect(`rejects ${name}`, () =>
      Effect.map(Effect.flip(selection.parse(options)), (error) => assert.match(error.message, message))
    )
  }
})
