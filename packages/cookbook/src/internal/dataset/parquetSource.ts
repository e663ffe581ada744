/**
 * The records of a Parquet file. Only whole row groups of it can be read, so its rows are written to a temporary file of
 * lines once, from which each is read by its place.
 */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { spool } from "../bytes/decompress.ts"
import * as fileBytes from "../bytes/fileBytes.ts"
import * as lines from "../bytes/lines.ts"
import type { OpenedFile } from "../bytes/openFile.ts"
import * as parquet from "../parquet/rows.ts"
import { problem } from "../records/problem.ts"
import type { Intake } from "./intake.ts"
import type { Source } from "./source.ts"

/** A row that is not valid keeps its line. */
const textOf = (row: parquet.Row): string => ("json" in row ? row.json : `!${row.problem.replaceAll(/\s+/g, " ")}`)

const parse = (text: string) => (text.startsWith("!") ? problem(undefined, text.slice(1)) : Json.parse(text))

/** @internal */
export const open = <A>(
  file: OpenedFile,
  limits: lines.Limits & { readonly maxBytes: number },
  onlyKnown: boolean,
  intake: Intake<A>
) =>
  Effect.gen(function* () {
    const { path } = file
    const encoder = new TextEncoder()
    const content = Stream.map(parquet.rows(file, onlyKnown), (row) => encoder.encode(`${textOf(row)}\n`))
    const copy = yield* fileBytes.open(yield* spool(path, content, limits), path)
    const index = yield* lines.scan(copy, limits, (text, line) => intake.take(parse(text), { path, row: line - 1 }))
    const read = lines.makeReader(copy, index, limits)
    const originOf = (position: number) => ({ path, row: index.numbers.get(position) - 1 })
    const source: Source<A> = {
      intake,
      originOf,
      at: (position) =>
        Effect.flatMap(read(position), (found) =>
          Effect.flatMap(lines.textOf(path, found), (text) => intake.again(parse(text), position, originOf(position)))
        )
    }
    return source
  })
