/// <reference types="node" />
/**
 * A page of a run: loss and evaluation curves with zoom, a table of steps, samples, timings, statistics of the data,
 * checkpoints and configuration. As one file it opens without a server or a network; served, it follows a run that goes on.
 *
 * It reads the directory of a run: `metrics.jsonl`, and what there is of `config.json`, `checkpoints.jsonl`,
 * `timing_spans.jsonl`, `data.json` and `samples.jsonl`. A line of the last one is `{"step", "prompt", "text"}`, where
 * `step` is the number of steps that were done, and further texts and numbers are shown beside it.
 *
 * ```ts
 * const file = yield* NodeReport.write("runs/pirate") // runs/pirate/report.html
 * ```
 *
 * It needs Node, since the page's parts are files beside this module, so the package's index leaves it out: import it as
 * `@effect-tinker/cookbook/NodeReport`.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as page from "./internal/report/nodePage.ts"
import * as reading from "./internal/report/read.ts"
import type { Run } from "./internal/report/run.ts"
import * as serving from "./internal/report/nodeWatch.ts"

export { ReportError } from "./internal/report/read.ts"
export type { Run, Sample } from "./internal/report/run.ts"

/**
 * Reads the directory of a run, also while it is written. A long run is read in bounded memory: of many rows every second,
 * fourth, … is kept, and every row with an evaluation; `every` and `notes` say what is left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const read: (directory: string) => Effect.Effect<Run, reading.ReportError, FileSystem.FileSystem | Path.Path> =
  reading.read

/**
 * The page as the text of one HTML file.
 *
 * @since 0.1.0
 * @category conversions
 */
export const html: (run: Run) => Effect.Effect<string, reading.ReportError, FileSystem.FileSystem> = page.complete

/**
 * Writes the page of a run to a file, by default `report.html` in its directory. Succeeds with the path of the file.
 *
 * @since 0.1.0
 * @category running
 */
export const write = Effect.fn("NodeReport.write")(function* (
  directory: string,
  options: { readonly file?: string | undefined } = {}
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.resolve(options.file ?? path.join(directory, "report.html"))
  const text = yield* Effect.flatMap(read(directory), html)
  yield* Effect.mapError(
    fs.writeFileString(file, text),
    (cause) => new reading.ReportError({ path: file, reason: "cannot be written", cause })
  )
  return file
})

/**
 * Shows a run while it goes on: a page that asks for the data again and again, on an address of this computer alone. It
 * ends with the scope. Succeeds with its URL. `port` is any free one by default.
 *
 * @since 0.1.0
 * @category running
 */
export const watch: (
  directory: string,
  options?: { readonly port?: number | undefined }
) => Effect.Effect<string, reading.ReportError, FileSystem.FileSystem | Path.Path | Scope.Scope> = serving.watch
