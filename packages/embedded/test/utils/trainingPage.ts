/** The page of `npm run page`, built, served and open in a headless Chromium. */
import * as Effect from "effect/Effect"
import type { AddressInfo } from "node:net"
import type { Page } from "playwright-core"
import { buildPage, makeServer, sizeOf } from "../../../../scripts/page.mjs"
import * as browser from "./browser.ts"

const serve = (directory: string) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly requests: Array<string>; readonly close: () => void }>((resume) => {
      const server = makeServer(directory)
      const requests: Array<string> = []
      server.on("request", ({ url }) => requests.push(url!))
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://localhost:${port}/`, requests, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** Waits until the status of the page says one of these. */
export const waitFor = (page: Page, status: RegExp) =>
  Effect.promise(async () => {
    await page.waitForFunction(
      (source) => new RegExp(source).test(document.getElementById("status")!.textContent!),
      `${status.source}|failed`,
      { timeout: 300_000 }
    )
    return (await page.textContent("#status"))!
  })

export const textOf = (page: Page, part: string) => Effect.promise(async () => (await page.textContent(part))!)

/** The page, ready to train in so many steps. */
export const open = (steps: number) =>
  Effect.gen(function* () {
    const directory = yield* browser.temporary
    yield* Effect.promise(() => buildPage(directory))
    const { requests, url } = yield* serve(directory)
    const visited = yield* browser.visit(`${url}?steps=${steps}`)
    yield* waitFor(visited.page, /Ready/)
    return { ...visited, requests, size: sizeOf(directory) }
  })

/** The losses that the curve shows, from the first to the last, as heights below the top. */
export const curve = (page: Page) =>
  Effect.promise(() =>
    page.$eval("#curve polyline", (line) =>
      line
        .getAttribute("points")!
        .split(" ")
        .map((point) => Number(point.split(",")[1]))
    )
  )
