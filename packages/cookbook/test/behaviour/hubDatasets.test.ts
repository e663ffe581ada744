/** Data sets on a fake hub. */
import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as Hub from "@effect-tinker/tokenizers/Hub"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import * as Benchmarks from "../../src/Benchmarks.ts"
import * as Dataset from "../../src/Dataset.ts"
import * as files from "../utils/files.ts"
import * as warnings from "../utils/warnings.ts"

const parquet = fileURLToPath(new URL("../fixtures/parquet/messages-zstd.parquet", import.meta.url))

const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => `{"prompt":"${i}","completion":"c"}\n`).join("")

interface Place {
  readonly hub: FakeHub.FakeHub
  readonly withHub: <A, E, R>(
    effect: Effect.Effect<A, E, R | Hub.Hub>,
    options?: { readonly offline: boolean }
  ) => Effect.Effect<A, E, Exclude<R, Hub.Hub> | FileSystem.FileSystem | Path.Path>
}

const withRepository = <A, E>(
  use: (place: Place) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>
) =>
  files.run(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* files.temporary
      const hub = yield* FakeHub.make({
        repositories: {
          "datasets/org/chats": {
            files: {
              "README.md": "chats",
              "data/train-00000-of-00002.parquet": { content: yield* Effect.orDie(fs.readFile(parquet)), large: true },
              "data/train-00001-of-00002.parquet": { content: yield* Effect.orDie(fs.readFile(parquet)), large: true },
              "data/test-00000-of-00001.parquet": "not read"
            },
            revisions: { v2: { "train set.jsonl.gz": gzipSync(lines(3)) } }
          }
        }
      })
      return yield* use({
        hub,
        withHub: (effect, { offline } = { offline: false }) =>
          effect.pipe(
            Effect.provide(Hub.layer({ cache: `${directory}/cache`, endpoint: hub.endpoint, offline })),
            Effect.provide(hub.layer)
          )
      })
    })
  )

describe("a data set of the hub", () => {
  it.effect("has the records of all files of its split, which are downloaded once", () =>
    withRepository(({ hub, withHub }) =>
      Effect.gen(function* () {
        const data = yield* withHub(Dataset.fromHub("org/chats"))
        assert.strictEqual(data.size, 100)
        assert.strictEqual(data.summaries[1]!.duplicates, 50)
        assert.match(
          data.originOf(50).path,
          /datasets--org--chats\/snapshots\/.*\/data\/train-00001-of-00002\.parquet$/
        )
        const kinds = (yield* hub.requests).map(({ kind }) => kind)
        // the two files have the same content
        assert.strictEqual(kinds.filter((kind) => kind === "file").length, 1)
        yield* hub.clearRequests
        yield* withHub(Dataset.fromHub("org/chats"))
        assert.deepStrictEqual(
          (yield* hub.requests).map(({ kind }) => kind),
          ["metadata"]
        )
      })
    )
  )

  it.effect("has the records of a revision, also offline once it is in the cache", () =>
    withRepository(({ withHub }) =>
      Effect.gen(function* () {
        const open = Dataset.fromHub("org/chats", { revision: "v2", format: "prompt-completion" })
        assert.strictEqual((yield* Effect.flip(withHub(open, { offline: true })))._tag, "HubError")
        assert.strictEqual((yield* withHub(open)).size, 3)
        assert.strictEqual((yield* withHub(open, { offline: true })).size, 3)
      })
    )
  )

  it.effect("is read from the cache, with a warning, when the hub does not respond", () =>
    withRepository(({ hub, withHub }) =>
      Effect.gen(function* () {
        const logs = yield* warnings.make
        const open = withHub(Dataset.fromHub("org/chats", { revision: "v2" }))
        yield* open
        yield* hub.setFault(() => FakeHub.respond(200, {}, "a proxy"))
        const result = yield* Effect.either(open.pipe(Effect.provide(logs.layer)))
        assert.strictEqual(result._tag === "Right" ? result.right.size : result.left.message, 3)
        assert.match((yield* logs.messages).join(), /Using 1 cached files of/)
      })
    )
  )

  it.effect("says what there is, if there is no such split or repository", () =>
    withRepository(({ withHub }) =>
      Effect.gen(function* () {
        const messageOf = (repo: string, options: Dataset.HubOptions) =>
          Effect.map(Effect.flip(withHub(Dataset.fromHub(repo, options))), ({ message }) => message)
        assert.match(
          yield* messageOf("org/chats", { split: "validation" }),
          /^org\/chats: has no split validation: there is data\/test-/
        )
        assert.match(yield* messageOf("org/absent", {}), /^org\/absent at main: /)
        assert.match(yield* messageOf("../absent", {}), /not the name of a repository/)
      })
    )
  )
})

describe("a benchmark of the hub", () => {
  const jsonl = (rows: ReadonlyArray<unknown>) => rows.map((row) => `${JSON.stringify(row)}\n`).join("")

  /** Small files of the same form, at the same places. */
  const repositories = {
    "datasets/openai/gsm8k": {
      files: {
        "main/train-00000-of-00001.jsonl": "not read",
        "socratic/test-00000-of-00001.jsonl": "not read",
        "main/test-00000-of-00001.jsonl": jsonl([
          { question: "How many?", answer: "There are <<3*4=12>>12, and\n#### 1,012" },
          { question: "And then?", answer: "None.\n#### -3" },
          { question: "And left?", answer: "#### 0.5" }
        ])
      }
    },
    "datasets/HuggingFaceH4/MATH-500": {
      files: {
        "test.jsonl": jsonl([{ problem: "Half of $x$?", answer: "\\frac{x}{2}", level: 1, subject: "Algebra" }])
      }
    },
    "datasets/cais/mmlu": {
      files: {
        "all/test-00000-of-00001.jsonl": jsonl([
          { question: "Which?", subject: "any", choices: ["one", "two", "three", "four"], answer: 2 }
        ])
      }
    },
    "datasets/allenai/ai2_arc": {
      files: {
        "ARC-Easy/test-00000-of-00001.jsonl": "not read",
        "ARC-Challenge/test-00000-of-00001.jsonl": jsonl([
          { id: "x", question: "What?", choices: { text: ["this", "that"], label: ["1", "2"] }, answerKey: "2" }
        ])
      }
    }
  }

  const prompt = (question: string) => Array.from(question, (char) => char.charCodeAt(0))

  /** The scores of answers to the problems, each with its own. */
  const scores = (problems: Benchmarks.Problems<never, never>, answers: ReadonlyArray<ReadonlyArray<string>>) =>
    Effect.map(Stream.runCollect(problems), (all) => {
      const found = Array.from(all)
      assert.strictEqual(found.length, answers.length)
      return found.map(({ grade }, i) =>
        answers[i]!.map((text) => grade({ text, tokens: new Int32Array(), stopReason: "stop" }))
      )
    })

  it.effect("is loaded by its name, and knows its right answers", () =>
    files.run(
      Effect.gen(function* () {
        const { directory } = yield* files.temporary
        const hub = yield* FakeHub.make({ repositories })
        yield* Effect.gen(function* () {
          const gsm8k = yield* scores(Benchmarks.gsm8k({ prompt, limit: 2 }), [
            ["It is 7, so \\boxed{1012}.", "1,012", "1012.0 apples", "\\boxed{7} not 1012", ""],
            ["-3", "\\boxed{-3}", "3"]
          ])
          assert.deepStrictEqual(gsm8k, [
            [1, 1, 1, 0, 0],
            [1, 1, 0]
          ])
          const math = yield* scores(Benchmarks.math500({ prompt: (text) => Effect.succeed(prompt(text)) }), [
            ["\\boxed{\\dfrac{x}{2}}", "so \\boxed{ \\frac x 2 }", "x/2", "\\boxed{\\frac{x}{3}}", "\\boxed{\\frac{x}"]
          ])
          assert.deepStrictEqual(math, [[1, 1, 0, 0, 0]])
          const mmlu = yield* scores(Benchmarks.mmlu({ prompt }), [
            ["\\boxed{C}", "The answer is (c).", "A, no, C", "B", "Can I say?"]
          ])
          assert.deepStrictEqual(mmlu, [[1, 1, 1, 0, 0]])
          const arc = yield* scores(Benchmarks.arcChallenge({ prompt }), [["\\boxed{2}", "1", "that"]])
          assert.deepStrictEqual(arc, [[1, 0, 0]])
        }).pipe(
          Effect.provide(Hub.layer({ cache: `${directory}/cache`, endpoint: hub.endpoint })),
          Effect.provide(hub.layer)
        )
      })
    )
  )
})
