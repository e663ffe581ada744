import { assert, describe, it } from "@effect/vitest"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as JaxEngine from "../../../src/JaxEngine.ts"
import * as executors from "../../../src/internal/executors/choose.ts"
import * as fixtures from "../../utils/fixtures.ts"

describe("The executor auto", () => {
  it.scoped("is native where ONNX Runtime can be loaded, and wasm elsewhere", () =>
    Effect.gen(function* () {
      const { executor } = yield* executors.make("auto", 1)
      assert.strictEqual(executor.name, fixtures.isNativeAvailable ? "native" : "wasm")
      assert.strictEqual((yield* executors.make("wasm", 1)).executor.name, "wasm")
    })
  )

  it.scoped("is told once at info level, with the reason", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
      yield* JaxEngine.make({ executor: "wasm" }).pipe(
        Effect.provide([NodeContext.layer, Logger.replace(Logger.defaultLogger, logger)])
      )
      assert.deepStrictEqual(lines, [
        "INFO the engine computes in WebAssembly, several times slower than on ONNX Runtime: as the option executor asks"
      ])
    })
  )
})
