import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { killRepeatedly } from "../utils/kills.ts"
import { saveSideBySide } from "../utils/saves.ts"

const directory = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()).pipe(
  Effect.provide(NodeContext.layer)
)

// `packages/embedded/test/longRuns` has the long forms
describe("processes", () => {
  it.scopedLive(
    "lose no record that they acknowledged when they are killed under load",
    () =>
      Effect.gen(function* () {
        const { acknowledged, problems } = yield* killRepeatedly(yield* directory, 2)
        assert.deepStrictEqual(problems, [])
        assert.isAbove(acknowledged, 10)
      }),
    400_000
  )

  it.scopedLive(
    "lose no checkpoint when two of them save into one directory",
    () =>
      Effect.gen(function* () {
        const { acknowledged, problems } = yield* saveSideBySide(yield* directory, 10)
        assert.deepStrictEqual(problems, [])
        assert.strictEqual(acknowledged, 21)
      }),
    400_000
  )
})
