/**
 * The datums of a data set of records, made by a renderer when they are needed. All of them are made once before training
 * starts, so that a record that cannot be rendered or is too long is found with its file and line, and lengths are known;
 * then each is made again from its record, so that memory does not grow with the data.
 *
 * ```ts
 * const data = yield* Dataset.open("conversations.jsonl")
 * const training = yield* TrainingData.make(data, renderer.name, (record) => …)
 * const batches = Batches.make(training.datums, { size: 32, seed: 0 })
 * ```
 *
 * @since 0.1.0
 */
import type * as Datum from "@effect-tinker/api/Datum"
import * as Effect from "effect/Effect"
import * as DataReport from "./DataReport.ts"
import { type Dataset, DatasetError } from "./Dataset.ts"
import { expand } from "./internal/dataset/expand.ts"
import type { Origin } from "./internal/dataset/intake.ts"
import * as SupervisedExample from "./SupervisedExample.ts"

/**
 * Datums by their positions, with what became of the records.
 *
 * @since 0.1.0
 * @category models
 */
export interface TrainingData<out E = never, out R = never> {
  readonly datums: Dataset<Datum.Supervised, E, R>
  readonly counts: SupervisedExample.Counts
  readonly lengths: DataReport.Lengths
  /** the tokens of each datum, as `Batches.byTokens` takes them */
  readonly tokens: Uint32Array
}

/** An error with the place of its record. */
const placed = ({ line, path, row }: Origin, cause: { readonly message: string }): DatasetError =>
  new DatasetError({
    path,
    reason: cause.message,
    cause,
    ...(line === undefined ? {} : { line }),
    ...(row === undefined ? {} : { row })
  })

/**
 * Makes the datums of all records once. It fails if there are none, unless they may be empty, as those that are held out.
 *
 * @param name tells what `toDatums` does from anything else, such as the name of a renderer with its options; it goes into
 *   the fingerprint
 * @param toDatums the datums of a record, such as those of `SupervisedExample.fromConversation`
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, E, R, E2 extends { readonly message: string }, R2>(
  records: Dataset<A, E, R>,
  name: string,
  toDatums: (record: A) => Effect.Effect<SupervisedExample.Datums, E2, R2>,
  options: { readonly mayBeEmpty?: boolean | undefined } = {}
): Effect.Effect<TrainingData<E | DatasetError, R | R2>, E | DatasetError, R | R2> =>
  Effect.gen(function* () {
    let counts = SupervisedExample.noCounts
    let isFirst = true
    const collector = DataReport.collector()
    const datums = yield* expand(
      records,
      name,
      (record, position) =>
        toDatums(record).pipe(
          Effect.mapError((cause) => placed(records.originOf(position), cause)),
          Effect.map((made) => {
            if (isFirst) counts = SupervisedExample.addCounts(counts, made.counts)
            return made.datums
          })
        ),
      collector.add
    )
    isFirst = false
    if (datums.size === 0 && options.mayBeEmpty !== true) {
      return yield* new DatasetError({
        path: records.name,
        reason: `nothing is left to train on: of ${records.size} records, ${counts.skipped} are too long and ${counts.untrained} train nothing`
      })
    }
    return { datums, counts, lengths: collector.lengths(), tokens: collector.each() }
  })
