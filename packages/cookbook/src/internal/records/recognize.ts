/** Finds the format of a record by its fields, and decodes it. */
import * as Either from "effect/Either"
import type { Format, Record, Split } from "../../Record.ts"
import { type Fields, fromAlpaca, fromMessages, fromShareGpt, isFields, isOpenAi } from "./conversations.ts"
import { fromOpenAiPreference, fromPreference, fromPromptCompletion, fromText } from "./pairs.ts"
import { type Decoded, problem } from "./problem.ts"

/** A record with what else its line says. @internal */
export interface Recognized<A> {
  readonly record: A
  readonly format: Format | undefined
  readonly split: Split
}

const has =
  (...keys: ReadonlyArray<string>) =>
  (fields: Fields): boolean =>
    keys.every((key) => fields[key] !== undefined && fields[key] !== null)

interface Reader {
  readonly format: Format
  readonly matches: (fields: Fields) => boolean
  readonly read: (fields: Fields) => Decoded<Record>
}

/** How each format is recognized. */
const readers: ReadonlyArray<Reader> = [
  { format: "messages", matches: has("messages"), read: fromMessages },
  { format: "sharegpt", matches: has("conversations"), read: fromShareGpt },
  { format: "preference", matches: has("chosen", "rejected"), read: fromPreference },
  { format: "preference", matches: has("preferred_output"), read: fromOpenAiPreference },
  { format: "alpaca", matches: has("instruction", "output"), read: fromAlpaca },
  { format: "prompt-completion", matches: has("prompt", "completion"), read: fromPromptCompletion }
]

/** Many files have a text beside their other fields, so it counts only alone. */
const text: Reader = { format: "text", matches: has("text"), read: fromText }

const shapes =
  "messages, conversations, prompt and completion, prompt with chosen and rejected, instruction and output, or text"

const names = (fields: Fields): string =>
  Object.keys(fields)
    .slice(0, 12)
    .map((key) => JSON.stringify(key.slice(0, 40)))
    .join(", ")

/** The reader of a record, or why there is none. */
const readerOf = (fields: Fields): Decoded<Reader> => {
  const found = readers.filter(({ matches }) => matches(fields))
  const [first, second] = found
  if (second !== undefined) {
    return problem(undefined, `has the fields of ${first!.format} and of ${second.format}: say which is the format`)
  }
  if (first !== undefined) return Either.right(first)
  if (text.matches(fields)) return Either.right(text)
  const present = names(fields)
  return problem(undefined, `is of no known format: give ${shapes} (it has ${present === "" ? "no fields" : present})`)
}

const givenReader = (format: Format, fields: Fields): Reader => {
  if (format === "text") return text
  const family = format === "openai" ? "messages" : format
  const candidates = readers.filter((reader) => reader.format === family)
  return candidates.find(({ matches }) => matches(fields)) ?? candidates[0]!
}

/** Which part a record says that it belongs to. @internal */
export const splitOf = (fields: unknown): Decoded<Split> => {
  const split = isFields(fields) ? fields["split"] : undefined
  if (split === undefined || split === null) return Either.right(undefined)
  return split === "train" || split === "test"
    ? Either.right(split)
    : problem("split", `is ${JSON.stringify(split) ?? typeof split}: give "train" or "test"`)
}

/** The record of a value of JSON, of the given format or of the one that its fields tell. @internal */
export const recognize = (value: unknown, format: Format | undefined): Decoded<Recognized<Record>> => {
  if (!isFields(value)) return problem(undefined, "is no object")
  return Either.gen(function* () {
    const reader = format === undefined ? yield* readerOf(value) : givenReader(format, value)
    const record = yield* reader.read(value)
    const name = reader.format === "messages" && isOpenAi(value) ? "openai" : reader.format
    return { record, format: name, split: yield* splitOf(value) }
  })
}
