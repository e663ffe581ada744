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
        Effect.zipRight(TestClock.adjust("10 seconds"), step({ lossPerToken, tokens: 50 }))
      )
    )
    return written
  })

describe("Progress", () => {
  it.effect("writes lines where there is no terminal", () =>
    Effect.map(run(false), (written) =>
      assert.deepStrictEqual(written, [
        "step 1/4  loss 4.0000  5 tokens/s  0:30 left\n",
        "step 2/4  loss 3.0000  5 tokens/s  0:20 left\n",
        "step 3/4  loss 2.0000  5 tokens/s  0:10 left\n",
        "step 4/4  loss 1.0000  5 tokens/s  0:00 left\n"
      ])
    )
  )

  it.effect("redraws a bar on a terminal, within its width, and ends the line", () =>
    Effect.map(run(true, 60), (written) => {
      assert.strictEqual(written.length, 5)
      assert.strictEqual(written[4], "\n")
      for (const line of written.slice(0, 4)) {
        assert.isTrue(line.startsWith("\r\u001b[2K"))
        assert.isAtMost(line.length - "\r\u001b[2K".length, 59)
      }
      assert.include(written[1], `${"█".repeat(12)}${"░".repeat(12)} step 2/4`)
    })
  )
})
