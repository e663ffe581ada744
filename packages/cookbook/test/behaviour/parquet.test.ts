/** Parquet files that pyarrow wrote: see reference/make_parquet.py. */
import * as Json from "@effect-tinker/tokenizers/Json"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"
import * as Dataset from "../../src/Dataset.ts"
import * as files from "../utils/files.ts"

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/parquet/${name}`, import.meta.url))

describe("a data set of Parquet", () => {
  for (const codec of ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]) {
    it.effect(`has the rows of all row groups, compressed with ${codec}, in any order`, () =>
      files.run(
        Effect.gen(function* () {
          const data = yield* Dataset.open(fixture(`messages-${codec}.parquet`))
          assert.strictEqual(data.size, 50)
          assert.deepStrictEqual(data.summaries[0]!.formats, { messages: 50 })
          for (const row of [49, 0, 20, 19]) {
            assert.deepStrictEqual(yield* data.at(row), {
              _tag: "Conversation",
              messages: [
                { content: `question ${row} é🙂`, role: "user" },
                { content: `answer ${row}\n`, role: "assistant" }
              ]
            })
          }
          assert.strictEqual(data.originOf(20).row, 20)
        })
      )
    )
  }

  it.effect("keeps the digits of integers and what is missing", () =>
    files.run(
      Effect.gen(function* () {
        const data = yield* Dataset.openWith(Schema.Unknown, fixture("plain.parquet"))
        const rows = yield* Effect.all([data.at(0), data.at(1)])
        assert.deepStrictEqual(
          rows.map((row) => Json.stringify(row)),
          [
            '{"question": "a", "n": 1152921504606846977, "x": 1, "flag": true}',
            '{"question": null, "n": 3, "x": 1e-07, "flag": null}'
          ]
        )
      })
    )
  )

  it.effect("has pairs of answers", () =>
    files.run(
      Effect.gen(function* () {
        const data = yield* Dataset.open(fixture("preference.parquet"))
        assert.deepStrictEqual(yield* data.at(2), {
          _tag: "Preference",
          pair: {
            form: "messages",
            prompt: [{ role: "user", content: "p" }],
            chosen: [{ content: "yes", role: "assistant" }],
            rejected: [{ content: "no 2", role: "assistant" }]
          }
        })
      })
    )
  )

  it.effect("names the row that is not UTF-8, or leaves it out", () =>
    files.run(
      Effect.gen(function* () {
        const error = yield* Effect.flip(Dataset.open(fixture("latin1.parquet")))
        assert.match(error.message, /latin1\.parquet row 1: has text that is not UTF-8$/)
        const data = yield* Dataset.open(fixture("latin1.parquet"), { onBad: { collect: 5 } })
        assert.deepStrictEqual([data.size, data.summaries[0]!.bad, data.summaries[0]!.errors[0]!.row], [1, 1, 1])
      })
    )
  )

  it.effect("refuses files that were cut off or changed", () =>
    files.run(
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { write } = yield* files.temporary
        const whole = yield* fs.readFile(fixture("messages-zstd.parquet"))
        const errorOf = (bytes: Uint8Array) =>
          Effect.flatMap(write("data.parquet", bytes), (path) => Effect.flip(Dataset.open(path)))
        for (const length of [4, 11, 40, 2000, whole.length - 1]) {
          assert.match(
            (yield* errorOf(whole.subarray(0, length))).message,
            /data\.parquet: cannot be read as Parquet: /
          )
        }
        const changed = whole.slice()
        changed.fill(0xff, 40, 200)
        assert.match((yield* errorOf(changed)).message, /data\.parquet/)
      })
    )
  )

  it.effect("has bounds", () =>
    files.run(
      Effect.gen(function* () {
        const path = fixture("messages-none.parquet")
        assert.match((yield* Effect.flip(Dataset.open(path, { maxBytes: 100 }))).message, /has more than 100 bytes/)
        assert.match((yield* Effect.flip(Dataset.open(path, { maxRecords: 10 }))).message, /has more than 10 records/)
      })
    )
  )
})
