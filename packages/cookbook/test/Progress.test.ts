import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Progress from "../src/Progress.ts"

const run = (isTerminal: boolean, columns?: number) =>
  Effect.gen(function* () {
    const written: Array<string> = []
    const progress = Progress.make({ write: (text) => written.push(text), isTerminal, columns })
    yield* progress.run(4, ({ step }) =>
      Effect.forEach([4, 3, 2, 1], (lossPerToken) =>
        Effect.andThen(TestClock.adjust("10 seconds"), step({ lossPerToken, tokens: 50 }))
      )
    )
    return written
  })

describe("Progress", () => {
  it.effect("writes lines without a terminal", () =>
    Effect.map(run(false), (written) =>
      assert.deepStrictEqual(written, [
        "step 1/4  loss 4.0000  5 tokens/s  0:30 left\n",
        "step 2/4  loss 3.0000  5 tokens/s  0:20 left\n",
        "step 3/4  loss 2.0000  5 tokens/s  0:10 left\n",
        "step 4/4  loss 1.0000  5 tokens/s  0:00 left\n"
      ])
    )
  )

  it.effect("says so where a loss is not known, and shows no NaN", () =>
    Effect.gen(function* () {
      const written: Array<string> = []
      const progress = Progress.make({ write: (text) => written.push(text), isTerminal: false })
      yield* progress.run(2, ({ step }) =>
        Effect.andThen(step({ lossPerToken: undefined, tokens: 1 }), step({ lossPerToken: Number.NaN, tokens: 1 }))
      )
      assert.include(written[0], "loss not known")
      assert.include(written[1], "loss not finite")
    })
  )

  const lineStart = "\r\u001b[2K"

  it.effect("redraws a bar on a terminal, and ends the line at the end", () =>
    Effect.map(run(true, 80), (written) => {
      assert.strictEqual(written.length, 5)
      assert.strictEqual(written[4], "\n")
      assert.isTrue(written.slice(0, 4).every((line) => line.startsWith(lineStart)))
      assert.include(written[1], `${"█".repeat(12)}${"░".repeat(12)} step 2/4`)
    })
  )

  it.effect("shortens the bar before the numbers on a narrow terminal", () =>
    Effect.gen(function* () {
      const facts = "step 2/4  loss 3.0000  5 tokens/s  0:20 left"
      for (const [columns, bar] of [
        [54, `${"█".repeat(4)}${"░".repeat(4)} `],
        [46, ""],
        [0, `${"█".repeat(12)}${"░".repeat(12)} `]
      ] as const) {
        assert.strictEqual((yield* run(true, columns))[1], `${lineStart}${bar}${facts}`, `${columns} columns`)
      }
      assert.strictEqual((yield* run(true, 20))[1], `${lineStart}${facts.slice(0, 19)}`)
    })
  )
})
