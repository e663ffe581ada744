/** A headless Chromium with the page of the tests, and the server that the page comes from. */
import * as Effect from "effect/Effect"
import { build } from "esbuild"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { chromium, type Page } from "playwright-core"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"

/** Why no browser can be started here; `undefined` if one can. */
export const missing = existsSync(executablePath) ? undefined : `no Chromium at ${executablePath}: set CHROMIUM`

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const nano = here("../../../engine/models/nano")

/** A directory that is removed with the scope. */
export const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "browser-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
)

/** The page and its worker, as an application bundles them: two entry points, and no settings. */
const bundle = (outdir: string) =>
  build({
    entryPoints: [here("page/main.ts"), here("page/worker.ts")],
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    conditions: ["effect-tinker-source"],
    logLevel: "silent"
  })

/** The server of a page. */
export interface Site {
  readonly url: string
  /** the paths that were requested, the newest last */
  readonly requests: Array<string>
  /** replaces the content of a path; `undefined` for the status 503 */
  readonly replaced: Map<string, Uint8Array | undefined>
}

/** The file of a path: the page and its scripts, and the shipped model. */
const contentOf = (outdir: string, path: string): Promise<Uint8Array> => {
  if (path === "/")
    return Promise.resolve(
      Buffer.from('<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>')
    )
  return readFile(path.startsWith("/models/nano/") ? join(nano, path.slice(13)) : join(outdir, path))
}

const types = { html: "text/html", js: "text/javascript" } as Record<string, string>

const serve = (outdir: string): Effect.Effect<Site & { readonly close: () => void }> =>
  Effect.async((resume) => {
    const requests: Array<string> = []
    const replaced = new Map<string, Uint8Array | undefined>()
    const server = createServer((request, response) => {
      const path = request.url!
      requests.push(path)
      if (replaced.has(path) && replaced.get(path) === undefined) {
        response.writeHead(503).end()
        return
      }
      const found = replaced.get(path)
      void (found === undefined ? contentOf(outdir, path) : Promise.resolve(found)).then(
        (content) => {
          const type =
            types[path === "/" ? "html" : path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream"
          response.writeHead(200, { "content-type": type, "content-length": content.length }).end(content)
        },
        () => response.writeHead(404).end()
      )
    })
    server.listen(0, "127.0.0.1", () => {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
      resume(Effect.succeed({ url, requests, replaced, close: () => server.close() }))
    })
  })

/** A page of a new browser profile at a URL, and all that its console said above a log. */
export const visit = (url: string) =>
  Effect.gen(function* () {
    const browser = yield* Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox"] })),
      (browser) => Effect.promise(() => browser.close())
    )
    const context = yield* Effect.promise(() => browser.newContext())
    // a busy machine takes its time
    context.setDefaultTimeout(120_000)
    const page: Page = yield* Effect.promise(() => context.newPage())
    const said: Array<string> = []
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") said.push(message.text())
    })
    page.on("pageerror", (error) => said.push(error.message))
    yield* Effect.promise(() => page.goto(url))
    return { context, page, said }
  })

/** A browser with the page of the tests open. */
export const open = Effect.gen(function* () {
  const directory = yield* temporary
  yield* Effect.promise(() => bundle(directory))
  const site: Site = yield* Effect.acquireRelease(serve(directory), ({ close }) => Effect.sync(close))
  return { ...(yield* visit(site.url)), site }
})
