import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Dataset from "../src/Dataset.ts"

const parse = (text: string) => Dataset.parse(Dataset.PromptCompletion, text, "data.jsonl")

describe("Dataset", () => {
  it.effect("reads records with any line endings, and skips empty lines", () =>
    Effect.gen(function* () {
      const records = yield* parse(
        '\uFEFF{"prompt":"a","completion":"b"}\r\n\n{"prompt":"c","completion":"d","split":"test"}\n'
      )
      assert.deepStrictEqual(records, [
        { prompt: "a", completion: "b" },
        { prompt: "c", completion: "d", split: "test" }
      ])
    })
  )

  for (const [name, text, message] of [
    ["a line that is not JSON", '{"prompt":"a","completion":"b"}\n{"prompt":', /^data\.jsonl:2: /],
    ["a field that is missing", '\n{"prompt":"a"}', /^data\.jsonl:2: completion: is missing$/],
    ["a field of another type", '{"prompt":1,"completion":"b"}', /^data\.jsonl:1: prompt: /],
    ["a split that does not exist", '{"prompt":"a","completion":"b","split":"dev"}', /^data\.jsonl:1: split: /],
    ["a file without records", "\n", /^data\.jsonl: holds no records$/]
  ] as const) {
    it.effect(`names the file and the line of ${name}`, () =>
      Effect.map(Effect.flip(parse(text)), (error) => assert.match(error.message, message))
    )
  }

  it.effect("names a file that cannot be read", () =>
    Dataset.read(Dataset.PromptCompletion, "absent.jsonl").pipe(
      Effect.flip,
      Effect.map((error) => assert.strictEqual(error.message, "absent.jsonl: cannot be read")),
      Effect.provide(FileSystem.layerNoop({}))
    )
  )

  it("shifts the targets by one, and gives the prompt weight 0", () => {
    const encode = (text: string) => Array.from(text, (char) => char.charCodeAt(0))
    const datum = Dataset.toDatum({ prompt: "ab", completion: "cd" }, encode)
    assert.deepStrictEqual(Array.from(ModelInput.toTokens(datum.model_input)), encode("abc"))
    assert.deepStrictEqual(Array.from(datum.loss_fn_inputs.target_tokens.data, Number), encode("bcd"))
    assert.deepStrictEqual(Array.from(datum.loss_fn_inputs.weights.data, Number), [0, 1, 1])
  })
})
