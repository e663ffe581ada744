import * as ModelInput from "@effect-tinker/api/ModelInput"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

import * as Dataset from "../src/Dataset.ts"
import * as files from "./utils/files.ts"
import * as warnings from "./utils/warnings.ts"

describe("Dataset", () => {
  it.effect("reads all records of a small file", () =>
    files.run(
      Effect.gen(function* () {
        const { write } = yield* files.temporary
        const path = yield* write(
          "data.jsonl",
          '\uFEFF{"prompt":"a","completion":"b"}\r\n\n{"prompt":"c","completion":"d","split":"test"}\n'
        )
        assert.deepStrictEqual(yield* Dataset.read(Dataset.PromptCompletion, path), [
          { prompt: "a", completion: "b" },
          { prompt: "c", completion: "d", split: "test" }
        ])
        const bad = yield* write("bad.jsonl", '{"prompt":"a","completion":"b"}\n\n{"prompt":"a","completion":1}\n')
        const error = yield* Effect.flip(Dataset.read(Dataset.PromptCompletion, bad))
        assert.match(error.message, /bad\.jsonl:3: completion: /)
      })
    )
  )

  it("shifts the targets by one, and gives the prompt weight 0", () => {
    const encode = (text: string) => Array.from(text, (char) => char.charCodeAt(0))
    const datum = Dataset.toDatum({ prompt: "ab", completion: "cd" }, encode)
    assert.deepStrictEqual(Array.from(ModelInput.toTokens(datum.model_input)), encode("abc"))
    assert.deepStrictEqual(Array.from(datum.loss_fn_inputs.target_tokens.data, Number), encode("bcd"))
    assert.deepStrictEqual(Array.from(datum.loss_fn_inputs.weights.data, Number), [0, 1, 1])
  })

  const chat = (text: string) =>
    JSON.stringify({
      messages: [
        { role: "user", content: text },
        { role: "assistant", content: "ok" }
      ]
    })

  /** Opens files with these contents, in their order. */
  const openAll = (contents: ReadonlyArray<string>, options?: Dataset.Options, name = "data.jsonl") =>
    Effect.gen(function* () {
      const { write } = yield* files.temporary
      const paths = yield* Effect.forEach(contents, (content, i) => write(`${i}-${name}`, content))
      return yield* Dataset.open(paths, options)
    })

  const errorOf = (content: string, options?: Dataset.Options) =>
    files.run(Effect.map(Effect.flip(openAll([content], options)), ({ message }) => message.replace(/\/\S*\//g, "")))

  describe("open", () => {
    it.effect("puts the records of several files together, in any order of reading", () =>
      files.run(
        Effect.gen(function* () {
          const data = yield* openAll([`${chat("a")}\n${chat("b")}\n`, `\n${chat("c")}`, `${chat("d")}\r\n`])
          assert.strictEqual(data.size, 4)
          const first = (position: number) =>
            Effect.map(data.at(position), (record) => record._tag === "Conversation" && record.messages[0].content)
          for (const [position, text] of [
            [3, "d"],
            [0, "a"],
            [2, "c"],
            [1, "b"]
          ] as const) {
            assert.strictEqual(yield* first(position), text)
          }
          assert.deepStrictEqual([data.originOf(1).line, data.originOf(2).line], [2, 2])
          assert.match(data.originOf(2).path, /1-data\.jsonl$/)
          assert.throws(() => data.at(4), RangeError)
          assert.deepStrictEqual(
            data.summaries.map(({ formats, records }) => [formats, records]),
            [
              [{ messages: 2 }, 2],
              [{ messages: 1 }, 1],
              [{ messages: 1 }, 1]
            ] as never
          )
        })
      )
    )

    it.effect("counts duplicates, also across files, and knows what is held out", () =>
      files.run(
        Effect.gen(function* () {
          const marked = chat("a").replace("{", '{"split":"test",')
          const data = yield* openAll([`${chat("a")}\n${chat("b")}\n${chat("a")}`, `${marked}\n${chat("c")}`])
          assert.deepStrictEqual(
            data.summaries.map(({ duplicates, test }) => [duplicates, test]),
            [
              [1, 0],
              [1, 1]
            ]
          )
          assert.strictEqual(data.hashAt(0), data.hashAt(3))
          assert.deepStrictEqual([2, 3, 4].map(data.isTest), [false, true, false])
        })
      )
    )

    it.effect("refuses a file of several formats, unless that is allowed", () =>
      Effect.gen(function* () {
        const mixed = `${chat("a")}\n{"text":"b"}\n`
        assert.strictEqual(
          yield* errorOf(mixed),
          "0-data.jsonl:2: is text, but line 1 is messages: allow it with mixed, or split the file"
        )
        const opened = yield* files.run(openAll([mixed], { mixed: true }))
        assert.deepStrictEqual(opened.summaries[0]!.formats, { messages: 1, text: 1 })
        const tools = chat("b").replace("{", '{"tools":[],')
        const openai = yield* files.run(openAll([`${chat("a")}\n${tools}\n`]))
        assert.deepStrictEqual(openai.summaries[0]!.formats, { messages: 1, openai: 1 })
      })
    )

    it.effect("fails at a bad record, or leaves it out and says so", () =>
      Effect.gen(function* () {
        const content = `${chat("a")}\n{"messages":[]}\n{nonsense}\n${chat("b")}\n`
        assert.isTrue((yield* Effect.flip(files.run(openAll([content])))) instanceof Dataset.DatasetError)
        assert.match(yield* errorOf(content), /^0-data\.jsonl:2: messages.*: is missing$/)
        const logs = yield* warnings.make
        const skipped = yield* files
          .run(
            Effect.gen(function* () {
              const data = yield* openAll([content], { onBad: "skip" })
              return { ...data, second: yield* data.at(1), line: data.originOf(1).line }
            })
          )
          .pipe(Effect.provide(logs.layer))
        assert.strictEqual(skipped.line, 4)
        assert.deepStrictEqual(skipped.second, JSON.parse(chat("b").replace("{", '{"_tag":"Conversation",')))
        assert.deepStrictEqual([skipped.summaries[0]!.bad, skipped.summaries[0]!.errors.length], [2, 0])
        assert.match((yield* logs.messages).join(), /2 of 4 records are not valid and were left out; the first: .*:2: /)
        const collected = yield* files
          .run(openAll([content], { onBad: { collect: 1 } }))
          .pipe(Effect.provide(logs.layer))
        assert.deepStrictEqual(
          collected.summaries[0]!.errors.map(({ line }) => line),
          [2]
        )
        assert.match(
          yield* errorOf("{}\n", { onBad: "skip" }).pipe(Effect.provide(logs.layer)),
          /holds no valid record: .*:1: /
        )
      })
    )

    for (const [name, content, message] of [
      ["an array", `[\n${chat("a")},\n${chat("b")}\n]`, /:1: is part of a JSON array: .*jq -c '\.\[\]'$/],
      ["an array on one line", `[${chat("a")}]`, /:1: is part of a JSON array/],
      ["a record on several lines", '{\n"text": "a"\n}', /:1: is part of a record on several lines/],
      ["no JSON", `${chat("a")}\nhello\n`, /:2: is not JSON: /],
      ["nothing", "\n \n", /: holds no records$/],
      ["a terminal's commands", '{"\\u001b[2J":1}', /^0-data\.jsonl:1: is of no known format: \P{Cc}*$/u]
    ] as const) {
      it.effect(`names the file and the line of ${name}`, () =>
        Effect.map(errorOf(content), (error) => assert.match(error, message))
      )
    }

    it.effect("reads the lines of a text file", () =>
      files.run(
        Effect.gen(function* () {
          const data = yield* openAll(['one\n\n  {"two": 2}  \n'], {}, "notes.txt")
          assert.deepStrictEqual(yield* Effect.all([data.at(0), data.at(1)]), [
            { _tag: "Text", text: "one" },
            { _tag: "Text", text: '  {"two": 2}  ' }
          ])
        })
      )
    )

    it.effect("reads records of another form with a schema", () =>
      files.run(
        Effect.gen(function* () {
          const { write } = yield* files.temporary
          const Question = Schema.Struct({ question: Schema.String })
          const path = yield* write("data.jsonl", '{"question":"a","split":"test"}\n{"question":"b"}\n')
          const data = yield* Dataset.openWith(Question, path)
          assert.deepStrictEqual([yield* data.at(1), data.isTest(0)], [{ question: "b" }, true])
          const bad = yield* write("bad.jsonl", '{"question":1}\n')
          assert.match((yield* Effect.flip(Dataset.openWith(Question, bad))).message, /bad\.jsonl:1: question: /)
        })
      )
    )

    it.effect("has a fingerprint of the contents and their order, and notices a change after it was opened", () =>
      files.run(
        Effect.gen(function* () {
          const of = (...contents: ReadonlyArray<string>) => openAll([contents.join("\n")])
          const [one, two, same] = [
            yield* of(chat("a"), chat("b")),
            yield* of(chat("b"), chat("a")),
            yield* of(`${chat("a")}\r`, chat("b"))
          ]
          assert.notStrictEqual(one.fingerprint, two.fingerprint)
          assert.strictEqual(one.fingerprint, same.fingerprint)
          const { write } = yield* files.temporary
          const path = yield* write("data.jsonl", `${chat("a")}\n${chat("b")}\n`)
          const data = yield* Dataset.open(path)
          yield* write("data.jsonl", `${chat("a")}\n${chat("x")}\n`)
          assert.match(
            (yield* Effect.flip(data.at(1))).message,
            /data\.jsonl:2: has changed since the file was opened$/
          )
        })
      )
    )
  })

  it.effect("maps and selects the items of an array", () =>
    Effect.gen(function* () {
      const data = Dataset.fromArray(["a", "b", "c", "a"])
      const upper = Dataset.map(data, "upper", (text) => Effect.succeed(text.toUpperCase()))
      const some = Dataset.select(upper, [3, 1])
      assert.deepStrictEqual(yield* Effect.all([some.at(0), some.at(1)]), ["A", "B"])
      assert.strictEqual(some.originOf(0).row, 3)
      assert.strictEqual(some.hashAt(0), data.hashAt(0))
      assert.throws(() => some.at(2), RangeError)
      const fingerprints = [
        data,
        upper,
        some,
        Dataset.select(upper, [1, 3]),
        Dataset.map(data, "lower", Effect.succeed)
      ]
      assert.strictEqual(new Set(fingerprints.map(({ fingerprint }) => fingerprint)).size, 5)
    })
  )
})
