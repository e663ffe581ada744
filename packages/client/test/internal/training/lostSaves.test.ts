import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { failureOf } from "../../utils/exits.ts"
import { json } from "../../utils/services.ts"
import { errorResponse, run, settle } from "../../utils/trainingRun.ts"

describe("a save whose response is lost", () => {
  const checkpoint = (tinker_path: string) => ({
    checkpoint_id: tinker_path.split("/").slice(-2).join("/"),
    checkpoint_type: tinker_path.includes("sampler") ? "sampler" : "training",
    time: "2026-01-01T00:00:00Z",
    tinker_path
  })
  const listing = (...paths: ReadonlyArray<string>) => json({ checkpoints: paths.map(checkpoint) })
  const runs = "/training_runs/model-1/checkpoints"

  it.scoped("succeeds once the checkpoint that it wrote is listed", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          "/save_weights": [ScriptedHttpClient.connectionLost, errorResponse(409)],
          "/save_weights_for_sampler": [errorResponse(502), errorResponse(409)],
          [runs]: [
            listing("tinker://model-1/weights/a"),
            listing("tinker://model-1/weights/a"),
            // some services leave the kind out
            listing("tinker://model-1/a")
          ]
        },
        (training) =>
          Effect.gen(function* () {
            const saved = yield* training.saveState("a")
            const sampler = yield* training.saveWeightsForSampler("a")
            return [yield* settle(saved, "10 seconds"), yield* settle(sampler, "10 seconds")] as const
          })
      )
      assert.deepStrictEqual(value[0], Exit.succeed({ path: "tinker://model-1/weights/a", type: "save_weights" }))
      assert.deepStrictEqual(value[1], Exit.succeed({ path: "tinker://model-1/sampler_weights/a" }))
      const saves = yield* http.requestsTo("/save_weights")
      assert.strictEqual(new Set(saves.map((save) => save.text)).size, 1, "the same request each time")
      assert.strictEqual((yield* http.requestsTo("/save_weights_for_sampler")).length, 3)
    })
  )

  it.scoped("fails at once if the name was taken before, and says what to do", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          "/save_weights": [
            json({ request_id: "SaveWeights" }),
            ScriptedHttpClient.connectionLost,
            errorResponse(409, {}, { detail: "exists" })
          ],
          [runs]: listing("tinker://model-1/weights/a")
        },
        (training) =>
          Effect.gen(function* () {
            yield* Fiber.join(yield* training.saveState("a"))
            const again = yield* settle(yield* training.saveState("a"), "2 seconds")
            return again
          })
      )
      const conflict = failureOf(value)
      assert.strictEqual(conflict?._tag, "Conflict")
      assert.include(conflict?.message, "overwrite: true")
      assert.strictEqual((yield* http.requestsTo("/save_weights")).length, 3)
      assert.strictEqual((yield* http.requestsTo(runs)).length, 0)
    })
  )

  it.scoped("fails within a minute if it conflicts and no checkpoint is listed", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        { "/save_weights": [ScriptedHttpClient.connectionLost, errorResponse(409)], [runs]: listing() },
        (training) => Effect.flatMap(training.saveState("a"), (saved) => settle(saved, "60 seconds"))
      )
      assert.strictEqual(failureOf(value)?._tag, "Conflict")
      assert.isAtMost((yield* http.requestsTo("/save_weights")).length, 7)
    })
  )
})
