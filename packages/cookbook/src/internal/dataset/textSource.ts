/** The records of a file by lines: JSON Lines, or the lines of a text. */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { OpenedFile } from "../bytes/openFile.ts"
import * as lines from "../bytes/lines.ts"
import { type Decoded, problem } from "../records/problem.ts"
import type { Intake } from "./intake.ts"
import type { Source } from "./source.ts"

/** @internal */
export type Form = "json" | "text"

/** A file whose name says so is text; all others are JSON. @internal */
export const formOf = (path: string): Form => (/\.(?:txt|text)(?:\.(?:gz|zst))?$/i.test(path) ? "text" : "json")

/** What a line says that is not JSON by itself. */
const hint = (text: string): string => {
  const start = text.trimStart()
  if (start.startsWith("[")) {
    return "is part of a JSON array: write one record on each line, for example with jq -c '.[]'"
  }
  return /^[{}],?$/.test(text.trim())
    ? "is part of a record on several lines: write each on one line, for example with jq -c ."
    : ""
}

/** The value of a line. */
const parse = (form: Form, text: string): Decoded<unknown> => {
  if (form === "text") return Either.right({ text })
  const parsed = Json.parse(text)
  if (Either.isRight(parsed) && !Array.isArray(parsed.right)) return parsed
  const advice = hint(text)
  if (advice !== "") return problem(undefined, advice)
  return problem(undefined, Either.isLeft(parsed) ? `is not JSON: ${parsed.left.reason}` : "is no object")
}

/** Reads the file once, and then record by record. @internal */
export const open = <A>(file: OpenedFile, form: Form, limits: lines.Limits, intake: Intake<A>) =>
  Effect.gen(function* () {
    const { path } = file
    const index = yield* lines.scan(file, limits, (text, line) => intake.take(parse(form, text), { path, line }))
    const read = lines.makeReader(file, index, limits)
    const source: Source<A> = {
      intake,
      originOf: (position) => ({ path, line: index.numbers.get(position) }),
      at: (position) =>
        Effect.flatMap(read(position), (found) =>
          Effect.flatMap(lines.textOf(path, found), (text) =>
            intake.again(parse(form, text), position, { path, line: found.line })
          )
        )
    }
    return source
  })
