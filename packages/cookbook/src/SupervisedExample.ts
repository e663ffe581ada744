/**
 * Datums from examples, that is from tokens with weights, and from conversations. The service sums the loss over tokens, so
 * how the weights of an example are reduced decides how much a long answer counts against a short one.
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import type * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { optionalKey } from "./internal/effect/optionalKey.ts"
import type { Conversation, RendererError, Service, SupervisedExample, TrainOn } from "./internal/formats/model.ts"
import * as texts from "./internal/examples/texts.ts"
import { build, lengthOf } from "./internal/examples/toDatum.ts"
import type * as Record from "./Record.ts"

export type { SupervisedExample } from "./internal/formats/model.ts"

/**
 * How the weights of an example are reduced. `none` leaves them: each token counts alike, and a long answer more than a
 * short one. `mean` divides them by their sum: each example counts alike.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Reduction = Schema.Literal("none", "mean")

/**
 * @since 0.1.0
 * @category models
 */
export type Reduction = typeof Reduction.Type

/**
 * What becomes of an example with more tokens than the longest that is allowed.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TooLong = Schema.Literal("fail", "truncate", "skip")

/**
 * @since 0.1.0
 * @category models
 */
export type TooLong = typeof TooLong.Type

/**
 * An example cannot become a datum. `TooShort`: fewer than two tokens are left, one to read and one to predict. `TooLong`:
 * it has more tokens than are allowed. `Invalid`: the weights do not fit the tokens, or the length of a chunk is not known.
 * `Unsupported`: a record is of a kind that has no supervised example.
 *
 * @since 0.1.0
 * @category errors
 */
export class ExampleError extends Schema.TaggedError<ExampleError>(
  "@effect-tinker/cookbook/SupervisedExample/ExampleError"
)("ExampleError", {
  reason: Schema.Literal("TooShort", "TooLong", "Invalid", "Unsupported"),
  detail: Schema.String,
  /** the tokens of the example */
  length: optionalKey(Schema.Int)
}) {
  override get message(): string {
    return this.detail
  }
}

/**
 * How to make a datum of an example.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly reduction: Reduction
  /** the most tokens of an example, before the shift by one; no bound if undefined */
  readonly maxLength?: number | undefined
  /** for examples with more; `fail` by default */
  readonly tooLong?: TooLong | undefined
}

/**
 * What became of an example:
 *
 * - `Datum`: a datum, with the tokens that were cut off at its end
 * - `Skipped`: it is too long, and the caller skips such
 * - `Untrained`: no token has a weight, so that a datum would train nothing; `emptied` if those that had one were cut off
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome =
  | { readonly _tag: "Datum"; readonly datum: Datum.Supervised; readonly cut: number }
  | { readonly _tag: "Skipped"; readonly length: number }
  | { readonly _tag: "Untrained"; readonly emptied: boolean }

const tooShort = (length: number): ExampleError =>
  new ExampleError({
    reason: "TooShort",
    detail: "fewer than two tokens are left: a datum needs one to read and one to predict",
    length
  })

const tooLong = (length: number, maxLength: number): ExampleError =>
  new ExampleError({
    reason: "TooLong",
    detail: `the example has ${length} tokens, and ${maxLength} are allowed: allow more, or truncate or skip such examples`,
    length
  })

/**
 * The datum of an example. First it is cut from the right to `maxLength`, text also inside a chunk, other chunks whole; then
 * empty chunks and images at the end go; then inputs and targets are shifted by one; then the weights are reduced.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toDatum = (example: SupervisedExample, options: Options): Either.Either<Outcome, ExampleError> => {
  const { maxLength = Number.POSITIVE_INFINITY, reduction } = options
  const length = lengthOf(example)
  if (Either.isLeft(length)) return Either.left(new ExampleError({ reason: "Invalid", detail: length.left }))
  const isLong = length.right > maxLength
  if (isLong && options.tooLong === "skip") return Either.right({ _tag: "Skipped", length: length.right })
  if (isLong && options.tooLong !== "truncate") return Either.left(tooLong(length.right, maxLength))
  const built = build(example, maxLength, reduction)
  if (built === undefined) return Either.left(tooShort(length.right))
  const cut = Math.max(0, length.right - maxLength)
  return Either.right(
    built.weight > 0
      ? { _tag: "Datum", datum: built.datum, cut }
      : { _tag: "Untrained", emptied: example.weights.subarray(1).some((weight) => weight > 0) }
  )
}

/**
 * How to make the datums of a conversation.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConversationOptions extends Partial<Options> {
  /** `all_assistant_messages` by default */
  readonly trainOn?: TrainOn | undefined
}

/**
 * What became of conversations, in examples.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  /** examples that became datums */
  readonly datums: number
  /** datums that were cut */
  readonly truncated: number
  /** examples that were too long, and skipped */
  readonly skipped: number
  /** examples in which no token is trained */
  readonly untrained: number
  /** those of them in which all that is trained was cut off */
  readonly emptied: number
}

/**
 * The datums of a conversation, and what became of its examples.
 *
 * @since 0.1.0
 * @category models
 */
export interface Datums {
  readonly datums: ReadonlyArray<Datum.Supervised>
  readonly counts: Counts
}

/**
 * No examples.
 *
 * @since 0.1.0
 * @category constants
 */
export const noCounts: Counts = { datums: 0, truncated: 0, skipped: 0, untrained: 0, emptied: 0 }

/**
 * The counts of two lots of examples together.
 *
 * @since 0.1.0
 * @category combinators
 */
export const addCounts = (self: Counts, that: Counts): Counts => ({
  datums: self.datums + that.datums,
  truncated: self.truncated + that.truncated,
  skipped: self.skipped + that.skipped,
  untrained: self.untrained + that.untrained,
  emptied: self.emptied + that.emptied
})

const countsOf = (outcomes: ReadonlyArray<Outcome>): Counts => {
  const count = (predicate: (outcome: Outcome) => boolean) => outcomes.filter(predicate).length
  return {
    datums: count(({ _tag }) => _tag === "Datum"),
    truncated: count((outcome) => outcome._tag === "Datum" && outcome.cut > 0),
    skipped: count(({ _tag }) => _tag === "Skipped"),
    // a conversation without an example has nothing to train either
    untrained: outcomes.length === 0 ? 1 : count(({ _tag }) => _tag === "Untrained"),
    emptied: count((outcome) => outcome._tag === "Untrained" && outcome.emptied)
  }
}

const datumsOf = (examples: ReadonlyArray<SupervisedExample>, options: Options): Effect.Effect<Datums, ExampleError> =>
  Effect.map(
    Effect.forEach(examples, (example) => toDatum(example, options)),
    (outcomes) => ({
      datums: outcomes.flatMap((outcome) => (outcome._tag === "Datum" ? [outcome.datum] : [])),
      counts: countsOf(outcomes)
    })
  )

/**
 * The datums of a conversation: one, or one for each trained message where the renderer rewrites history. By default all
 * messages of the assistant are trained, and each example counts alike.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromConversation = (
  renderer: Service,
  conversation: Conversation,
  { reduction = "mean", trainOn = "all_assistant_messages", ...options }: ConversationOptions = {}
): Effect.Effect<Datums, RendererError | ExampleError> =>
  Effect.flatMap(renderer.examples(conversation, trainOn), (examples) => datumsOf(examples, { ...options, reduction }))

/**
 * How to make the datums of a record.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordOptions extends ConversationOptions {
  readonly renderer: Service
  /** for records without messages */
  readonly tokenizer: Pick<Tokenizer.Service, "encodeInSteps" | "eos">
  /** take special tokens in prompts, completions and texts for what they are; false by default: they are ordinary text */
  readonly recognizeSpecialTokens?: boolean | undefined
}

/**
 * The datums of a record: of a conversation as by `fromConversation`; of a prompt with its completion, of which the
 * completion is trained; of a text, of which all is. The token that ends a text follows the last two, and is trained. It
 * fails for pairs of answers.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromRecord = (
  record: Record.Record,
  { recognizeSpecialTokens = false, renderer, tokenizer, trainOn, ...given }: RecordOptions
): Effect.Effect<Datums, RendererError | ExampleError> => {
  const options = { ...given, reduction: given.reduction ?? "mean" }
  switch (record._tag) {
    case "Conversation":
      return fromConversation(renderer, record, { ...options, trainOn })
    case "PromptCompletion":
      return Effect.flatMap(texts.ofPromptCompletion(tokenizer, record, !recognizeSpecialTokens), (example) =>
        datumsOf([example], options)
      )
    case "Text":
      return Effect.flatMap(texts.ofText(tokenizer, record.text, !recognizeSpecialTokens), (example) =>
        datumsOf([example], options)
      )
    case "Preference": {
      const detail = "a pair of answers has no supervised example: train on preferences, or on the chosen answers alone"
      return new ExampleError({ reason: "Unsupported", detail })
    }
  }
}
