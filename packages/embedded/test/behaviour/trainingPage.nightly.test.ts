/** The page that trains, as a visitor uses it: at full length, with pairs of one's own, by keyboard, and on a phone. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import type { Page } from "playwright-core"
import * as browser from "../utils/browser.ts"
import * as trainingPage from "../utils/trainingPage.ts"

const title = browser.missing === undefined ? "The page" : `The page (${browser.missing})`

const press = (page: Page, key: string) => Effect.promise(() => page.keyboard.press(key))
const focused = (page: Page) => Effect.promise(() => page.evaluate(() => document.activeElement!.id))

const ask = (page: Page, prompt: string) =>
  Effect.promise(async () => {
    await page.fill("#try-field", prompt)
    await page.press("#try-field", "Enter")
    await page.waitForFunction((prompt) => document.getElementById("tried")!.textContent!.startsWith(prompt), prompt)
    return (await page.textContent("#tried"))!
  })

describe.skipIf(browser.missing !== undefined)(title, () => {
  it.scopedLive(
    "learns the past tense of verbs that it has not seen, and saves an adapter that PEFT reads",
    () =>
      Effect.gen(function* () {
        const { page, said } = yield* trainingPage.open(128)
        yield* Effect.promise(() => page.click("#train"))
        const status = yield* trainingPage.waitFor(page, /Trained/)
        const [, before, after] = /(\d+) % of 24 held-out verbs right before, (\d+) % after/.exec(status)!
        assert.isBelow(Number(before), 10)
        assert.isAbove(Number(after), 70)
        assert.match(yield* trainingPage.textOf(page, "#speed"), /^[\d,]+ tokens\/s$/)
        assert.strictEqual(yield* trainingPage.textOf(page, "#executor"), "WebAssembly")
        assert.include(yield* trainingPage.textOf(page, "#output"), "exact match on 24 held-out verbs")
        assert.match(yield* ask(page, "blick"), /^blick: blicked/)
        const path = yield* Effect.promise(async () => {
          const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")])
          assert.strictEqual(download.suggestedFilename(), "adapter.tar")
          return await download.path()
        })
        const archive = readFileSync(path).toString("latin1")
        assert.include(archive, "adapter_model.safetensors")
        assert.include(archive, '"peft_type"')
        assert.deepStrictEqual(said, [])
      }),
    400_000
  )

  it.scopedLive(
    "is used by keyboard: pairs of one's own, what is wrong with them, stopping, and training again",
    () =>
      Effect.gen(function* () {
        const { page, said } = yield* trainingPage.open(60)
        yield* Effect.promise(() => page.focus('input[value="verbs"]'))
        yield* press(page, "ArrowDown")
        yield* Effect.promise(() => page.fill("#pairs", "france => paris\nitaly"))
        yield* press(page, "Tab")
        assert.strictEqual(yield* focused(page), "train")
        yield* press(page, "Enter")
        assert.match(yield* trainingPage.textOf(page, "#problem"), /^Line 2 has no/)
        assert.strictEqual(yield* focused(page), "pairs")

        const pairs = ["france => paris", "italy => rome", "spain => madrid", "japan => tokyo"]
        yield* Effect.promise(() => page.fill("#pairs", pairs.join("\n")))
        yield* press(page, "Tab")
        yield* press(page, "Enter")
        assert.strictEqual(yield* focused(page), "stop")
        yield* trainingPage.waitFor(page, /Training/)
        yield* press(page, "Enter")
        yield* trainingPage.waitFor(page, /Stopped/)
        assert.strictEqual(yield* focused(page), "train")

        yield* press(page, "Enter")
        const status = yield* trainingPage.waitFor(page, /Trained/)
        assert.match(status, /0 % of 4 of your pairs right before, 100 % after/)
        assert.match(yield* ask(page, "spain"), /^spain: madrid/)
        assert.deepStrictEqual(said, [])
      }),
    400_000
  )

  it.scopedLive(
    "fits a phone, in light and in dark, names every part for a reader of the screen, and is open once",
    () =>
      Effect.gen(function* () {
        const { context, page } = yield* trainingPage.open(4)
        const second = yield* Effect.promise(() => context.newPage())
        yield* Effect.promise(() => second.goto(page.url()))
        assert.include(
          yield* trainingPage.waitFor(second, /never/),
          "another page has /checkpoints open: close that one"
        )
        yield* Effect.promise(() => second.close())
        for (const colorScheme of ["light", "dark"] as const) {
          yield* Effect.promise(() => page.emulateMedia({ colorScheme }))
          for (const width of [320, 390, 1280]) {
            yield* Effect.promise(() => page.setViewportSize({ width, height: 800 }))
            const wide = yield* Effect.promise(() => page.evaluate(() => document.documentElement.scrollWidth))
            assert.isAtMost(wide, width)
          }
        }
        const unnamed = yield* Effect.promise(() =>
          page.$$eval("input, textarea, button, svg, progress, pre", (all) =>
            all
              .filter((one) => {
                const labels = (one as HTMLInputElement).labels?.length ?? 0
                const text = one.tagName === "BUTTON" ? one.textContent! : ""
                return labels === 0 && text === "" && !one.hasAttribute("aria-label")
              })
              .map((one) => one.outerHTML)
          )
        )
        assert.deepStrictEqual(unnamed, [])
      }),
    400_000
  )
})
