/**
 * Data sets: items by their positions, read from files of any size or given as an array.
 *
 * @since 0.1.0
 */
import * as Datum from "@effect-tinker/api/Datum"
import type * as Hub from "@effect-tinker/tokenizers/Hub"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { DatasetError } from "./internal/bytes/datasetError.ts"
import * as derive from "./internal/dataset/derive.ts"
import { hubFilesOf } from "./internal/dataset/hubSplit.ts"
import type { Summary } from "./internal/dataset/intake.ts"
import type { Dataset } from "./internal/dataset/model.ts"
import * as opening from "./internal/dataset/open.ts"
import { optionalKey } from "./internal/effect/optionalKey.ts"
import { decodeWith } from "./internal/effect/parseError.ts"
import * as holdingOut from "./internal/order/holdOut.ts"
import * as mixing from "./internal/order/mix.ts"
import { recognize, splitOf } from "./internal/records/recognize.ts"
import type * as Record from "./Record.ts"

export { DatasetError } from "./internal/bytes/datasetError.ts"
export type { Origin, Summary } from "./internal/dataset/intake.ts"
export type { Dataset } from "./internal/dataset/model.ts"

/**
 * How files of records are read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the format of the records; by default it is recognized by their fields */
  readonly format?: Record.Format | undefined
  /** whether one file may have records of several formats; false by default */
  readonly mixed?: boolean | undefined
  /**
   * what becomes of a record that is not valid: it fails the whole (`fail`, the default), or it is left out, with a warning
   * of how many there are (`skip`), also with the errors of the first ones in the summary (`{ collect: 20 }`). A file that
   * cannot be read as text fails always
   */
  readonly onBad?: "fail" | "skip" | { readonly collect: number } | undefined
  /** what the lines of files are: objects of JSON, or texts; by default texts in files named `.txt`, else JSON */
  readonly lines?: "json" | "text" | undefined
  /** the longest line, in bytes; 16 MiB by default */
  readonly maxLineBytes?: number | undefined
  /** the largest number of records of a file; 100 million by default */
  readonly maxRecords?: number | undefined
  /** the largest size of a compressed file after decompression, in bytes; 256 GiB by default */
  readonly maxBytes?: number | undefined
}

/**
 * Files of records.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opened<out A> extends Dataset<A, DatasetError> {
  /** what was found in each file */
  readonly summaries: ReadonlyArray<Summary>
}

const withDefaults = (options: Options, isKnown: boolean): opening.OpenOptions => ({
  isKnown,
  policy: options.onBad ?? "fail",
  isMixed: options.mixed ?? false,
  lines: options.lines,
  maxLineBytes: options.maxLineBytes ?? 2 ** 24,
  maxRecords: options.maxRecords ?? 1e8,
  maxBytes: options.maxBytes ?? 2 ** 38
})

const list = (paths: string | ReadonlyArray<string>): ReadonlyArray<string> =>
  typeof paths === "string" ? [paths] : paths

/**
 * Opens files, checks every record, and closes the files with the scope. Each file is read once; what stays in memory are
 * some 40 bytes a record. Records are then read from their places.
 *
 * Files are JSON Lines, or text with a record on each line, of any size, also compressed with gzip or zstd, or Parquet.
 *
 * ```ts
 * const data = yield* Dataset.open("conversations.jsonl.gz")
 * const third = yield* data.at(2)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = Effect.fn("Dataset.open")(
  (
    paths: string | ReadonlyArray<string>,
    options: Options = {}
  ): Effect.Effect<Opened<Record.Record>, DatasetError, FileSystem.FileSystem | Scope.Scope> =>
    opening.open(list(paths), (value) => recognize(value, options.format), withDefaults(options, true))
)

/**
 * The same for records of a form of your own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openWith = <A, I>(
  schema: Schema.Schema<A, I>,
  paths: string | ReadonlyArray<string>,
  options: Omit<Options, "format" | "mixed"> = {}
): Effect.Effect<Opened<A>, DatasetError, FileSystem.FileSystem | Scope.Scope> => {
  const decode = decodeWith(schema)
  const read = (value: unknown) =>
    Either.all({ record: decode(value), format: Either.right(undefined), split: splitOf(value) })
  return opening.open(list(paths), read, withDefaults(options, false))
}

/**
 * A data set on the Hugging Face hub.
 *
 * @since 0.1.0
 * @category models
 */
export interface HubOptions extends Options {
  /** `train` by default */
  readonly split?: string | undefined
  /** the configuration, which is the directory of its files, where there are several */
  readonly config?: string | undefined
  /** a branch, a tag or a commit; `main` by default */
  readonly revision?: string | undefined
}

/**
 * Opens the files of a split on the hub, such as `fromHub("org/name", { split: "test" })`: Parquet, JSON Lines or text.
 * They are downloaded into the cache of the Python libraries.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHub: (
  repo: string,
  options?: HubOptions
) => Effect.Effect<Opened<Record.Record>, DatasetError | Hub.HubError, Hub.Hub | FileSystem.FileSystem | Scope.Scope> =
  Effect.fn("Dataset.fromHub")((repo: string, options: HubOptions = {}) =>
    Effect.flatMap(hubFilesOf(repo, options), (files) => open(files, options))
  )

/**
 * The same for records of a form of your own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHubWith = <A, I>(
  schema: Schema.Schema<A, I>,
  repo: string,
  options: Omit<HubOptions, "format" | "mixed"> = {}
): Effect.Effect<Opened<A>, DatasetError | Hub.HubError, Hub.Hub | FileSystem.FileSystem | Scope.Scope> =>
  Effect.flatMap(hubFilesOf(repo, options), (files) => openWith(schema, files, options))

/**
 * The items of an array. Equal ones have the same hash.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromArray = <A>(items: ReadonlyArray<A>, options: { readonly name?: string } = {}): Dataset<A> =>
  derive.fromItems(items, options.name ?? "the array")

/**
 * Changes each item when it is read. The name goes into the fingerprint: give another one to a function that does
 * something else.
 *
 * @since 0.1.0
 * @category mapping
 */
export const map: <A, E, R, B, E2, R2>(
  dataset: Dataset<A, E, R>,
  name: string,
  f: (item: A, position: number) => Effect.Effect<B, E2, R2>
) => Dataset<B, E | E2, R | R2> = derive.map

/**
 * The items at some positions, in the order of those.
 *
 * @since 0.1.0
 * @category filtering
 */
export const select: <A, E, R>(
  dataset: Dataset<A, E, R>,
  positions: { readonly length: number; readonly [position: number]: number },
  name?: string
) => Dataset<A, E, R> = derive.select

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
 * A source of a mix. Without weights, sources count by the number of their rows.
 *
 * @since 0.1.0
 * @category models
 */
export type Weighted<A, E = never, R = never> = mixing.Weighted<A, E, R>

/**
 * Interleaves several data sets evenly by their weights: all of them have one, or none. Those of weight 0 are left out.
 * With `repeat`, a source begins again when it has ended, until all have ended once; without, each row comes once, and
 * sources that have ended are missing from the rest.
 *
 * @throws RangeError if only some have weights, no weight is above 0, a source that counts is empty, or the mix would have
 * more than 2^28 rows.
 * @since 0.1.0
 * @category combining
 */
export const mix = <A, E = never, R = never>(
  sources: ReadonlyArray<Weighted<A, E, R>>,
  options: { readonly repeat: boolean }
): Dataset<A, E, R> => mixing.mix(sources, options.repeat)

/**
 * Data sets without the rows that are held out, and those rows.
 *
 * @since 0.1.0
 * @category models
 */
export type HeldOut<A, E = never, R = never> = holdingOut.Split<A, E, R>

/**
 * Holds rows out of training before anything is mixed or shuffled: a number of rows that are drawn by the seed, no two
 * the same, or those that their files mark with `"split": "test"`. Rows that are the same as one that is held out are
 * left out of training, counted, and warned of. Each source keeps at least one row, or it fails.
 *
 * @since 0.1.0
 * @category filtering
 */
export const holdOut = <A, E = never, R = never>(
  sources: ReadonlyArray<Weighted<A, E, R>>,
  which: "marked" | { readonly count: number; readonly seed: number }
): Effect.Effect<HeldOut<A, E, R>, DatasetError> =>
  which === "marked" ? holdingOut.marked(sources) : holdingOut.byCount(sources, which.count, which.seed)

/**
 * All items, in their order. They are in memory at once.
 *
 * @since 0.1.0
 * @category conversions
 */
export const collect = <A, E, R>(dataset: Dataset<A, E, R>): Effect.Effect<ReadonlyArray<A>, E, R> =>
  Effect.forEach(
    Array.from({ length: dataset.size }, (_, position) => position),
    dataset.at
  )

/**
 * Reads all records of a small file of a form of your own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const read = <A, I>(
  schema: Schema.Schema<A, I>,
  paths: string | ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<A>, DatasetError, FileSystem.FileSystem> =>
  Effect.scoped(Effect.flatMap(openWith(schema, paths), collect))

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
): Datum.Supervised => Datum.fromPromptCompletion(encode(record.prompt), encode(record.completion))
