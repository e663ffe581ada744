/** Files of JSON lines that a process may have been killed while writing. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { firstIssue } from "../effect/parseError.ts"
import { RunDirectoryError } from "./errors.ts"

/** @internal */
export interface Lines<A> {
  readonly values: ReadonlyArray<A>
  /** whether the last line was written in part */
  readonly isCut: boolean
}

const failure = (path: string, reason: string) => (cause: unknown) => new RunDirectoryError({ path, reason, cause })

/** The file's text; `undefined` if there is no file. @internal */
export const readText = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFileString(path).pipe(
    Effect.map((text): string | undefined => text),
    Effect.catchTag("SystemError", (error) => (error.reason === "NotFound" ? Effect.succeed(undefined) : error)),
    Effect.mapError(failure(path, "cannot be read"))
  )
})

/** Python writes numbers that are not finite as JSON does not have them. */
const withoutNaN = (line: string): string => line.replace(/([:,[]\s*)-?(?:NaN|Infinity)(?=\s*[,\]}])/g, "$1null")

/**
 * The lines of a file. The last one may be incomplete; any other that is not valid is an error with its number. None if
 * there is no file.
 *
 * @internal
 */
export const read = <A, I>(schema: Schema.Schema<A, I>, path: string) =>
  Effect.gen(function* () {
    const text = yield* readText(path)
    if (text === undefined) return undefined
    const parse = Schema.decodeUnknownEither(Schema.parseJson(schema))
    const decode = (line: string) => Either.orElse(parse(line), () => parse(withoutNaN(line)))
    const values: Array<A> = []
    const lines = text.split("\n")
    for (const [i, line] of lines.entries()) {
      if (line.trim() === "") continue
      const value = decode(line)
      if (Either.isRight(value)) values.push(value.right)
      else if (i === lines.length - 1) return { values, isCut: true } satisfies Lines<A>
      else return yield* new RunDirectoryError({ path, line: i + 1, reason: firstIssue(value.left) })
    }
    return { values, isCut: lines.at(-1) !== "" && values.length > 0 } satisfies Lines<A>
  })

const lineOf = (value: unknown): string => `${JSON.stringify(value)}\n`

/** Appends a line. @internal */
export const append = Effect.fnUntraced(function* (path: string, value: unknown) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.mapError(fs.writeFileString(path, lineOf(value), { flag: "a" }), failure(path, "cannot be written"))
})

/** Replaces a file at once: whoever reads it finds the old one or the new one. @internal */
export const replace = Effect.fnUntraced(function* (path: string, text: string) {
  const fs = yield* FileSystem.FileSystem
  const part = `${path}.part`
  yield* Effect.mapError(
    Effect.andThen(fs.writeFileString(part, text), fs.rename(part, path)),
    failure(path, "cannot be written")
  )
})

/** Replaces the lines of a file. @internal */
export const replaceLines = (path: string, values: ReadonlyArray<unknown>) => replace(path, values.map(lineOf).join(""))

/** A copy of a file under a name that no file has: the given one, or that with a number. @internal */
export const keepAside = Effect.fnUntraced(function* (path: string, aside: string) {
  const fs = yield* FileSystem.FileSystem
  const isTaken = (name: string) => Effect.orElseSucceed(fs.exists(name), () => false)
  let name = aside
  for (let i = 2; yield* isTaken(name); i++) name = `${aside}_${i}`
  yield* Effect.mapError(fs.copyFile(path, name), failure(path, `cannot be copied to ${name}`))
})
