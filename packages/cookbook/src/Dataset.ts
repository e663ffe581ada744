/**
 * Reads records from a JSON Lines file, validates them with a schema, and converts them to datums.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/effect/optionalKey.ts"
import { firstIssue } from "./internal/effect/parseError.ts"

/**
 * The file cannot be read, or one of its lines is not a valid record.
 *
 * @since 0.1.0
 * @category errors
 */
export class DatasetError extends Schema.TaggedError<DatasetError>("@effect-tinker/cookbook/Dataset/DatasetError")(
  "DatasetError",
  {
    path: Schema.String,
    /** counted from 1; undefined if the error concerns the whole file */
    line: optionalKey(Schema.Int),
    reason: Schema.String,
    cause: optionalKey(Schema.Defect)
  }
) {
  override get message(): string {
    return `${this.path}${this.line === undefined ? "" : `:${this.line}`}: ${this.reason}`
  }
}

/**
 * A prompt and its completion. Records with `split: "test"` are held out from training.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PromptCompletion = Schema.Struct({
  prompt: Schema.NonEmptyString,
  completion: Schema.NonEmptyString,
  split: optionalKey(Schema.Literal("train", "test"))
})

/**
 * @since 0.1.0
 * @category models
 */
export type PromptCompletion = typeof PromptCompletion.Type

/**
 * Parses records, one per line. Empty lines are skipped. `path` appears in error messages.
 *
 * @since 0.1.0
 * @category conversions
 */
export const parse = <A, I>(
  schema: Schema.Schema<A, I>,
  text: string,
  path: string
): Effect.Effect<ReadonlyArray<A>, DatasetError> =>
  Effect.suspend(() => {
    const decode = Schema.decodeUnknownEither(Schema.parseJson(schema))
    const records: Array<A> = []
    // a byte order mark is not part of the first record
    const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/)
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!
      if (line.trim() === "") continue
      const record = decode(line)
      if (Either.isLeft(record)) {
        return new DatasetError({ path, line: i + 1, reason: firstIssue(record.left) })
      }
      records.push(record.right)
    }
    return records.length === 0 ? new DatasetError({ path, reason: "holds no records" }) : Effect.succeed(records)
  })

/**
 * Reads the records of a file, one per line.
 *
 * @since 0.1.0
 * @category constructors
 */
export const read = Effect.fn("Dataset.read")(function* <A, I>(schema: Schema.Schema<A, I>, path: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs
    .readFileString(path)
    .pipe(Effect.mapError((cause) => new DatasetError({ path, reason: "cannot be read", cause })))
  return yield* parse(schema, text, path)
})

/**
 * The datum that trains a model to continue the prompt with the completion. The targets are the input shifted by one. The
 * tokens of the prompt have weight 0, those of the completion weight 1.
 *
 * @throws RangeError if prompt and completion together have fewer than two tokens.
 * @since 0.1.0
 * @category conversions
 */
export const toDatum = (
  record: Pick<PromptCompletion, "prompt" | "completion">,
  encode: (text: string) => ArrayLike<number>
): Datum.For<"cross_entropy"> => Datum.fromPromptCompletion(encode(record.prompt), encode(record.completion))
