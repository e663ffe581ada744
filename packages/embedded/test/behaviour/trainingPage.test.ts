/** The page that trains, in a short form; the long one is trainingPage.nightly.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as browser from "../utils/browser.ts"
import * as trainingPage from "../utils/trainingPage.ts"

const title = browser.missing === undefined ? "The page" : `The page (${browser.missing})`

describe.skipIf(browser.missing !== undefined)(title, () => {
  it.scopedLive(
    "trains in less than a megabyte, and is there again without a network, with what it trained",
    () =>
      Effect.gen(function* () {
        const { context, page, said, size } = yield* trainingPage.open(4)
        assert.isBelow(size, 2 ** 20)
        yield* Effect.promise(() => page.click("#train"))
        assert.match(yield* trainingPage.waitFor(page, /Trained/), /0 % of 24 held-out verbs right before/)
        const heights = yield* trainingPage.curve(page)
        assert.strictEqual(heights.length, 4)
        // the loss falls, so the curve goes down
        assert.isAbove(heights.at(-1)!, heights[0]!)
        yield* Effect.promise(() => context.setOffline(true))
        yield* Effect.promise(() => page.reload())
        assert.match(yield* trainingPage.waitFor(page, /Ready/), /The adapter of your last visit is still here/)
        assert.deepStrictEqual(said, [])
      }),
    180_000
  )
})
