/**
 * Records of a JSON Lines file, checked as they are read, and the datums that they become.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/**
 * The file cannot be read, or a line of it is not such a record.
 *
 * @since 0.1.0
 * @category errors
 */
export class DatasetError extends Schema.TaggedError<DatasetError>("@effect-tinker/cookbook/Dataset/DatasetError")(
  "DatasetError",
  {
    path: Schema.String,
    /** from 1; absent when the file as a whole is at fault */
    line: Schema.optionalWith(Schema.Int, { exact: true }),
    reason: Schema.String,
    cause: Schema.optionalWith(Schema.Defect, { exact: true })
  }
) {
  override get message(): string {
    return `${this.path}${this.line === undefined ? "" : `:${this.line}`}: ${this.reason}`
  }
}

/**
 * A prompt and what the model should answer. `split` tells training records from those that are held out.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PromptCompletion = Schema.Struct({
  prompt: Schema.NonEmptyString,
  completion: Schema.NonEmptyString,
  split: Schema.optionalWith(Schema.Literal("train", "test"), { exact: true })
})

/**
 * @since 0.1.0
 * @category models
 */
export type PromptCompletion = typeof PromptCompletion.Type

/**
 * The records of a text, one a line; empty lines are passed over. `path` is for messages.
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
        const [issue] = ParseResult.ArrayFormatter.formatErrorSync(record.left)
        const reason =
          issue === undefined ? record.left.message : [issue.path.join("."), issue.message].filter(Boolean).join(": ")
        return new DatasetError({ path, line: i + 1, reason })
      }
      records.push(record.right)
    }
    return records.length === 0 ? new DatasetError({ path, reason: "holds no records" }) : Effect.succeed(records)
  })

/**
 * The records of a file, one a line.
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
 * The datum that trains a model to answer the prompt with the completion: targets are shifted by one against the input,
 * and only the completion counts.
 *
 * @throws RangeError when prompt and completion are fewer than two tokens together.
 * @since 0.1.0
 * @category conversions
 */
export const toDatum = (
  record: Pick<PromptCompletion, "prompt" | "completion">,
  encode: (text: string) => ArrayLike<number>
): Datum.For<"cross_entropy"> => Datum.fromPromptCompletion(encode(record.prompt), encode(record.completion))
