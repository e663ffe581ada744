/** The file `metrics.jsonl` of a training run: its settings, its steps and its saved states, one per line. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { CliError } from "../errors/cliError.ts"
import * as files from "../util/files.ts"

/** What must stay the same for a run to resume. @internal */
export interface Settings {
  readonly base_model: string
  readonly rank: number
  readonly learning_rate: number
  readonly batch_size: number
  readonly steps: number
  readonly seed: number
  readonly held_out: number
}

/** @internal */
export type Line =
  | ({ readonly type: "run" } & Settings)
  | { readonly type: "step"; readonly step: number; readonly loss: number | null; readonly [key: string]: unknown }
  | { readonly type: "state"; readonly step: number; readonly path: string }

const parseLine = (line: string): ReadonlyArray<Line> => {
  try {
    return [JSON.parse(line) as Line]
  } catch {
    // a run that was killed may have written half of its last line
    return []
  }
}

const format = (line: Line): string => `${JSON.stringify(line)}\n`

/** The lines of an earlier run, or none if there is no file. @internal */
export const read = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const exists = yield* Effect.orElseSucceed(fs.exists(file), () => false)
  return exists ? (yield* files.readText(file)).split("\n").flatMap(parseLine) : undefined
})

/** Replaces the file. @internal */
export const write = (file: string, lines: ReadonlyArray<Line>) => files.write(file, lines.map(format).join(""))

/** @internal */
export const append = Effect.fnUntraced(function* (file: string, line: Line) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.mapError(
    fs.writeFileString(file, format(line), { flag: "a" }),
    (cause) => new CliError({ title: `Cannot write ${file}`, details: cause.message, cause })
  )
})
