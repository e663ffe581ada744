import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logs from "../src/Logs.ts"

describe("withWarnings", () => {
  it.effect("returns the value with the lines from warnings on", () =>
    Effect.gen(function* () {
      const all = Effect.all([Effect.logInfo("a"), Effect.logWarning("b"), Effect.logError("c")])
      assert.deepStrictEqual(yield* Logs.withWarnings(Effect.as(all, 7)), { value: 7, lines: ["b", "c"] })
    })
  )
})
