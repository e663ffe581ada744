/** The page of a run: markup, style and script, the plotting library, and the data or where they come from. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { ReportError } from "./read.ts"
import type { Run } from "./run.ts"

const own = (name: string): string => fileURLToPath(new URL(`../../../page/${name}`, import.meta.url))

const library = (name: string): string => createRequire(import.meta.url).resolve(`uplot/dist/${name}`)

const readText = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* Effect.mapError(
    fs.readFileString(path),
    (cause) => new ReportError({ path, reason: "cannot be read: install the package again", cause })
  )
})

/** JSON that may stand in a script element: nothing in it can end the element, or start a comment. */
const embed = (value: unknown): string => JSON.stringify(value).replaceAll("<", "\\u003c")

const assemble = Effect.fnUntraced(function* (parts: { readonly data: string; readonly body: string }) {
  const markup = yield* readText(own("report.html"))
  const style = `${yield* readText(library("uPlot.min.css"))}\n${yield* readText(own("report.css"))}`
  const script = `${yield* readText(library("uPlot.iife.min.js"))}\n${yield* readText(own("report.js"))}`
  // a function, since $ means something in a text
  return markup
    .replace("/*STYLE*/", () => style)
    .replace("/*SCRIPT*/", () => script)
    .replace("<!--DATA-->", () => parts.data)
    .replace("<body>", () => parts.body)
})

/** The page with its data. @internal */
export const complete = (run: Run): Effect.Effect<string, ReportError, FileSystem.FileSystem> =>
  assemble({ data: `<script type="application/json" id="run">${embed(run)}</script>`, body: "<body>" })

/** The page that asks an address for its data. @internal */
export const live = (address: string): Effect.Effect<string, ReportError, FileSystem.FileSystem> =>
  assemble({ data: "", body: `<body data-source="${address}">` })
