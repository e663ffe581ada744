/** The service in a page of a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Page } from "playwright-core"
import * as browser from "../utils/browser.ts"

/** Calls a function of the page, which `page/main.ts` defines. */
const call = <A>(page: Page, name: string, argument?: unknown): Effect.Effect<A> =>
  Effect.promise(() =>
    page.evaluate(
      ([name, argument]) =>
        (globalThis as unknown as { tests: Record<string, (value: unknown) => A> }).tests[name]!(argument),
      [name, argument] as const
    )
  )

const title =
  browser.missing === undefined ? "The service in a browser" : `The service in a browser (${browser.missing})`

describe.skipIf(browser.missing !== undefined)(title, () => {
  it.scopedLive(
    "trains in a worker, and samples after a reload from the model and the weights that it kept, while the server of models fails",
    () =>
      Effect.gen(function* () {
        const { page, said, site } = yield* browser.open
        const trained = yield* call<{ losses: Array<number>; path: string }>(page, "train")
        assert.isBelow(trained.losses.at(-1)!, trained.losses[0]! / 2)
        const downloads = site.requests.filter((path) => path.startsWith("/models/nano/"))
        assert.strictEqual(new Set(downloads).size, 7)
        // the worker ended with the layer
        yield* Effect.promise(() => Promise.all(page.workers().map((worker) => worker.waitForEvent("close"))))
        assert.deepStrictEqual(page.workers(), [])
        const progress = yield* Effect.promise(() =>
          page.evaluate(
            () =>
              (globalThis as unknown as { tests: { progress: Array<{ received: number; total: number }> } }).tests
                .progress
          )
        )
        assert.isTrue(progress.some(({ received, total }) => received === total && total > 3e6))

        yield* Effect.promise(() => page.reload())
        site.requests.length = 0
        site.replaced.set("/models/nano/SHA256SUMS", undefined)
        const sampled = yield* call<Array<number>>(page, "sample", trained.path)
        assert.strictEqual(sampled.length, 4)
        assert.deepStrictEqual(
          site.requests.filter((path) => path.startsWith("/models/")),
          ["/models/nano/SHA256SUMS"]
        )
        assert.deepStrictEqual(
          said.filter((text) => !text.includes("503")),
          []
        )
      }),
    400_000
  )

  it.scopedLive(
    "refuses files with another hash, models that are too large, and workers that are not there, each with what to do",
    () =>
      Effect.gen(function* () {
        const { page, site } = yield* browser.open
        const tooLarge = yield* call<string>(page, "sampleBase", { maxModelBytes: 1_000_000 })
        assert.include(tooLarge, "model.safetensors: is larger than the 99")
        site.replaced.set("/models/nano/model.safetensors", Buffer.from("other"))
        assert.include(yield* call<string>(page, "sampleBase", {}), "but SHA256SUMS says fa53dcb6")
        site.replaced.set("/models/nano/SHA256SUMS", Buffer.from("nothing like it"))
        assert.include(yield* call<string>(page, "sampleBase", {}), "SHA256SUMS: has in line 1 no SHA-256")
        site.replaced.clear()
        assert.include(
          yield* call<string>(page, "missingWorker"),
          "the thread of the engine cannot be started: the worker failed before it answered"
        )
        assert.match(yield* call<string>(page, "sampleBase", {}), /^\d+(,\d+){3}$/)
      }),
    400_000
  )

  it.scopedLive(
    "computes on the thread of the page with the models that it is given, and says what to do without any",
    () =>
      Effect.gen(function* () {
        const { page } = yield* browser.open
        yield* call(page, "sampleBase", {})
        const offered = yield* call<{ models: Array<string>; alone: string }>(page, "engineOfPage")
        assert.deepStrictEqual(offered.models, ["kept"])
        assert.include(offered.alone, "in a browser, give Embedded.layerBrowser the URL of its files")
      }),
    400_000
  )
})
