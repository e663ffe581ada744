import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { confirmPublic } from "../../../src/internal/huggingFace/confirmPublic.ts"
import { makeTerminal } from "../../utils/terminal.ts"

const [isOpen, isClosed] = [
  { isPublic: true, head: "c0ffee" },
  { isPublic: false, head: "c0ffee" }
]

describe("the confirmation of a public repository", () => {
  for (const [answer, succeeds] of [
    ["y", true],
    ["Yes ", true],
    ["", false],
    ["n", false],
    ["you", false]
  ] as const) {
    it.effect(`takes '${answer}' for ${succeeds ? "yes" : "no"}`, () =>
      Effect.gen(function* () {
        const { layer, shown } = makeTerminal([answer])
        const result = yield* Effect.either(confirmPublic("ada/open", isOpen, false)).pipe(Effect.provide(layer))
        assert.strictEqual(result._tag === "Right", succeeds)
        assert.include(shown.join(""), "ada/open is public: everyone can read")
      })
    )
  }

  it.effect("is a question for public repositories only, and not after --public", () =>
    Effect.gen(function* () {
      const { layer, shown } = makeTerminal()
      yield* confirmPublic("ada/closed", isClosed, false).pipe(Effect.provide(layer))
      yield* confirmPublic("ada/open", isOpen, true).pipe(Effect.provide(layer))
      assert.isEmpty(shown)
    })
  )

  it.effect("is an error that names --public where nobody can be asked", () =>
    Effect.gen(function* () {
      const { layer } = makeTerminal(["y"], { inIsTerminal: false })
      const error = yield* Effect.flip(confirmPublic("ada/open", isOpen, false)).pipe(Effect.provide(layer))
      assert.include(error.message, "--public")
    })
  )
})
