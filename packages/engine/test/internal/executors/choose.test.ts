import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as executors from "../../../src/internal/executors/choose.ts"
import * as fixtures from "../../utils/fixtures.ts"

describe("The executor auto", () => {
  it.scoped("is native where ONNX Runtime can be loaded, and wasm elsewhere", () =>
    Effect.gen(function* () {
      const { name } = yield* executors.make("auto", 1)
      assert.strictEqual(name, fixtures.isNativeAvailable ? "native" : "wasm")
      assert.strictEqual((yield* executors.make("wasm", 1)).name, "wasm")
    })
  )
})
