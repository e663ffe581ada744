/** The records of a training run: of one file, or mixed from several, and those that are held out. */
import * as Dataset from "@effect-tinker/cookbook/Dataset"
import type * as Record from "@effect-tinker/cookbook/Record"
import * as Effect from "effect/Effect"
import { CliError, UsageError } from "../errors/cliError.ts"

/** The loss on held-out examples is only a check, so there is no point in more of them. */
const maxHeldOut = 256

/** @internal */
export type Records = Dataset.Dataset<Record.Record, Dataset.DatasetError>

/** @internal */
export interface Data {
  readonly train: Records
  readonly test: Records
  /** what was found in each file */
  readonly summaries: ReadonlyArray<Dataset.Summary>
  /** records that are not trained on, since they are the same as one that is held out */
  readonly overlap: number
}

/** A file of `--mix`, with its weight. */
interface Source {
  readonly file: string
  readonly weight: number | undefined
}

/** `FILE`, or `FILE=WEIGHT`. */
const parseSource = (text: string): Effect.Effect<Source, UsageError> => {
  const [, file, weight] = /^(.+?)(?:=([^=/\\]*))?$/.exec(text) ?? []
  if (file === undefined || weight === undefined) return Effect.succeed({ file: text, weight: undefined })
  const value = Number(weight)
  return weight !== "" && Number.isFinite(value) && value > 0
    ? Effect.succeed({ file, weight: value })
    : Effect.fail(new UsageError({ reason: `--mix ${text}: the weight is not a number above 0` }))
}

/** The file and those that it is mixed with. The first has the weight 1 if the others have weights. */
const parseSources = Effect.fnUntraced(function* (file: string, mix: ReadonlyArray<string>) {
  const others = yield* Effect.forEach(mix, parseSource)
  const weighted = others.filter(({ weight }) => weight !== undefined).length
  if (weighted > 0 && weighted < others.length) {
    return yield* new UsageError({ reason: "--mix: give each file a weight, as FILE=WEIGHT, or none" })
  }
  return [{ file, weight: weighted > 0 ? 1 : undefined }, ...others]
})

const nothing: Records = Dataset.fromArray<Record.Record>([], { name: "nothing" })

const isMarked = ({ isTest, size }: Records): boolean => {
  for (let position = 0; position < size; position++) if (isTest(position)) return true
  return false
}

const firstOf = (records: Records): Records =>
  records.size <= maxHeldOut
    ? records
    : Dataset.select(
        records,
        Array.from({ length: maxHeldOut }, (_, i) => i)
      )

/** Opens the files, and holds records out before they are mixed. @internal */
export const open = Effect.fnUntraced(function* (options: {
  readonly file: string
  readonly mix: ReadonlyArray<string>
  readonly heldOut: number
  readonly seed: number
}) {
  const sources = yield* parseSources(options.file, options.mix)
  const opened = yield* Effect.forEach(sources, ({ file, weight }) =>
    Effect.map(Dataset.open(file, { mixed: true }), (dataset) => ({ dataset, weight }))
  )
  const summaries = opened.flatMap(({ dataset }) => dataset.summaries)
  const size = opened.reduce((sum, { dataset }) => sum + dataset.size, 0)
  if (size === 0) return yield* new CliError({ title: `${options.file} holds no records` })
  const count = Math.min(maxHeldOut, Math.floor(size * options.heldOut))
  const marked = opened.some(({ dataset }) => isMarked(dataset))
  const split =
    marked || count > 0
      ? yield* Dataset.holdOut(opened, marked ? "marked" : { count, seed: options.seed })
      : { train: opened, heldOut: nothing, overlap: 0 }
  const data: Data = {
    train: split.train.length === 1 ? split.train[0]!.dataset : Dataset.mix(split.train, { repeat: true }),
    test: firstOf(split.heldOut),
    summaries,
    overlap: split.overlap
  }
  return data
})
