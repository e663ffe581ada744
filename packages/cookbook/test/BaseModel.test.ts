import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import * as BaseModel from "../src/BaseModel.ts"

const nano = fileURLToPath(new URL("../../engine/models/nano", import.meta.url))

const configured = (settings: ReadonlyArray<readonly [string, string]>) =>
  BaseModel.BaseModel.pipe(
    Effect.provide(BaseModel.layerConfig),
    Effect.provide([NodeContext.layer, FetchHttpClient.layer]),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(settings)))
  )

describe("BaseModel", () => {
  it.effect("encodes and decodes with the tokenizer of the shipped model", () =>
    Effect.gen(function* () {
      const { decode, encode, name } = yield* BaseModel.BaseModel
      assert.strictEqual(name, "effect-tinker/nano")
      for (const text of ["carry ->", " carried\n", "naïve — 語 🙂", ""]) assert.strictEqual(decode(encode(text)), text)
      // without special tokens, so that the tokens of a prompt and its completion can be concatenated
      assert.deepStrictEqual([...encode("a ->"), ...encode(" b\n")], encode("a -> b\n"))
    }).pipe(Effect.provide(Layer.provide(BaseModel.layerNano, NodeContext.layer)))
  )

  it.effect("reads its name and tokenizer from the environment", () =>
    Effect.map(
      configured([
        ["TINKER_BASE_MODEL", "some/model"],
        ["TINKER_TOKENIZER", nano]
      ]),
      ({ encode, name }) => {
        assert.strictEqual(name, "some/model")
        assert.strictEqual(encode("abc").length, 3)
      }
    )
  )

  for (const [name, settings, message] of [
    ["no base model", [], /^TINKER_BASE_MODEL is not set: give the name/],
    [
      "a model that is not cached, while offline",
      [
        ["TINKER_BASE_MODEL", "a/b:peft:1"],
        ["HF_HUB_OFFLINE", "1"],
        ["HF_HOME", "absent"]
      ],
      /^a\/b:peft:1 has no tokenizer: a\/b at main: .* unset HF_HUB_OFFLINE .* set TINKER_TOKENIZER/
    ],
    [
      "a directory without a tokenizer",
      [
        ["TINKER_BASE_MODEL", "a/b"],
        ["TINKER_TOKENIZER", "absent"]
      ],
      /tokenizer\.json cannot be read$/
    ],
    [
      "a file instead of a directory",
      [
        ["TINKER_BASE_MODEL", "a/b"],
        ["TINKER_TOKENIZER", `${nano}/README.md`]
      ],
      /cannot be read$/
    ]
  ] as const) {
    it.effect(`reports ${name}, and suggests a fix`, () =>
      Effect.map(Effect.flip(configured(settings)), (error) => assert.match(error.message, message))
    )
  }
})
