import * as Datum from "@effect-tinker/api/Datum"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Batches from "../src/Batches.ts"
import * as DataReport from "../src/DataReport.ts"
import * as Dataset from "../src/Dataset.ts"
import * as SupervisedExample from "../src/SupervisedExample.ts"
import * as TrainingData from "../src/TrainingData.ts"
import * as files from "./utils/files.ts"

const codes = (text: string) => Array.from(text, (char) => char.charCodeAt(0))

/** A datum for each word of a record; none of a word in brackets, and an error of one that is too long. */
const datumsOf = (made: Array<string>) => (record: { readonly text: string }) =>
  Effect.gen(function* () {
    made.push(record.text)
    const words = record.text.split(" ")
    if (words.some((word) => word.length > 9)) return yield* Effect.fail(new Error("the example has too many tokens"))
    const kept = words.filter((word) => !word.startsWith("["))
    return {
      datums: kept.map((word) => Datum.fromPromptCompletion(codes("ab"), codes(word))),
      counts: { ...SupervisedExample.noCounts, datums: kept.length, skipped: words.length - kept.length }
    }
  })

const open = (text: string) =>
  Effect.gen(function* () {
    const { write } = yield* files.temporary
    return yield* Dataset.open(yield* write("data.txt", text))
  })

const texts = (data: Dataset.Opened<unknown>) =>
  data as unknown as Dataset.Dataset<{ readonly text: string }, Dataset.DatasetError>

describe("TrainingData", () => {
  it.effect("has the datums of all records, some of which give several or none, in any order", () =>
    files.run(
      Effect.gen(function* () {
        const made: Array<string> = []
        const data = texts(yield* open("one two\n[none]\nthree\n[a] four [b]\nfive six seven\n"))
        const training = yield* TrainingData.make(data, "words", datumsOf(made))
        assert.strictEqual(made.length, 5)
        const { datums } = training
        const wordOf = (position: number) =>
          Effect.map(datums.at(position), (datum) =>
            String.fromCharCode(...Array.from(datum.loss_fn_inputs.target_tokens.data, Number).slice(1))
          )
        const words = ["one", "two", "three", "four", "five", "six", "seven"]
        assert.strictEqual(datums.size, 7)
        for (const position of [6, 0, 3, 2, 5, 1, 4]) assert.strictEqual(yield* wordOf(position), words[position])
        assert.deepStrictEqual(
          [3, 6].map((position) => datums.originOf(position).line),
          [4, 5]
        )
        assert.throws(() => datums.at(7), RangeError)
        assert.deepStrictEqual(training.counts, { ...SupervisedExample.noCounts, datums: 7, skipped: 3 })
        assert.deepStrictEqual(
          Array.from(training.tokens),
          words.map((word) => word.length + 1)
        )
        assert.deepStrictEqual(training.lengths, {
          datums: 7,
          tokens: 34,
          weight: 27,
          trained: 27,
          min: 4,
          median: 5,
          p95: 6,
          max: 6,
          histogram: [
            { upTo: 4, datums: 3 },
            { upTo: 8, datums: 4 }
          ]
        })
        const batches = yield* Batches.byTokens(datums, training.tokens, { tokens: 12, seed: 0 })
        assert.isAbove((yield* batches.at(3)).length, 0)
      })
    )
  )

  it.effect("names the line of a record that fails before anything is trained", () =>
    files.run(
      Effect.gen(function* () {
        const data = texts(yield* open("one\n\nextraordinary\n"))
        const error = yield* Effect.flip(TrainingData.make(data, "words", datumsOf([])))
        assert.match(error.message, /data\.txt:3: the example has too many tokens$/)
      })
    )
  )

  it.effect("fails if nothing is left to train on", () =>
    files.run(
      Effect.gen(function* () {
        const error = yield* Effect.flip(TrainingData.make(texts(yield* open("[a]\n[b]\n")), "words", datumsOf([])))
        assert.match(error.message, /nothing is left to train on: of 2 records, 2 are too long and 0 train nothing$/)
        const none = Dataset.fromArray<{ readonly text: string }>([])
        const empty = yield* TrainingData.make(none, "words", datumsOf([]), { mayBeEmpty: true })
        assert.deepStrictEqual([empty.datums.size, empty.lengths.max], [0, 0])
      })
    )
  )

  it.effect("has a report", () =>
    files.run(
      Effect.gen(function* () {
        const data = yield* open("one two\none two\n[none]\nthree\n")
        const training = yield* TrainingData.make(texts(data), "words", datumsOf([]))
        const report = DataReport.make({
          files: data.summaries,
          training: data.size,
          overlap: 2,
          examples: training.counts,
          lengths: training.lengths
        })
        assert.deepStrictEqual(DataReport.rows(report), [
          ["Records", "4"],
          ["Format", "text"],
          ["Duplicates", "1"],
          ["Training records", "4"],
          ["Same as held out, left out", "2"],
          ["Too long, skipped", "1"],
          ["Datums", "5"],
          ["Tokens", "22, of which 17 are trained"],
          ["Tokens of a datum", "4 to 6, median 4, 95 % below 6"]
        ])
        assert.deepStrictEqual(JSON.parse(JSON.stringify(report)).files[0].records, 4)
      })
    )
  )
})
