import * as FakeHub from "@effect-tinker/testing/FakeHub"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Hub from "../src/Hub.ts"
import * as Tokenizer from "../src/Tokenizer.ts"
import * as Tokenizers from "../src/Tokenizers.ts"

const nano = fileURLToPath(new URL("../../engine/models/nano", import.meta.url))

describe("select", () => {
  it.each([
    ["Qwen/Qwen3-8B", undefined, { repo: "Qwen/Qwen3-8B" }],
    ["Qwen/Qwen3-8B:peft:131072", undefined, { repo: "Qwen/Qwen3-8B" }],
    ["org/model/variant", undefined, { repo: "org/model" }],
    ["org/model/variant:x", undefined, { repo: "org/model" }],
    ["meta-llama/Llama-3.1-8B", undefined, { repo: "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer" }],
    ["meta-llama/Llama-2-7b", undefined, { repo: "meta-llama/Llama-2-7b" }],
    ["meta-llama/Llama-3.1-8B", "own/tokenizer", { repo: "own/tokenizer" }],
    ["meta-llama/Llama-3.1-8B", "own/tokenizer:x", { repo: "own/tokenizer" }],
    ["a/b", "", { repo: "a/b" }],
    ["gpt2", undefined, { repo: "gpt2" }],
    [
      "x",
      "moonshotai/Kimi-K2-Thinking",
      { repo: "moonshotai/Kimi-K2-Thinking", revision: "612681931a8c906ddb349f8ad0f582cb552189cd" }
    ],
    [
      "moonshotai/Kimi-K2.5-Text-Only",
      undefined,
      { repo: "moonshotai/Kimi-K2.5", revision: "4d01dfe0332d63057c186e0b262165819efb6611" }
    ],
    [
      "moonshotai/Kimi-K2.5:x",
      undefined,
      { repo: "moonshotai/Kimi-K2.5", revision: "4d01dfe0332d63057c186e0b262165819efb6611" }
    ],
    [
      "moonshotai/Kimi-K2.6",
      undefined,
      { repo: "moonshotai/Kimi-K2.6", revision: "b5aabbfb20227ed42becbf5541dbffd213942c58" }
    ],
    [
      "moonshotai/Kimi-K3",
      undefined,
      { repo: "moonshotai/Kimi-K3", revision: "f831ab66814297da540d832a5235f8e904f29d06" }
    ]
  ])("maps the model %s with the tokenizer id %s to its repository", (model_name, tokenizer_id, expected) => {
    assert.deepStrictEqual(Tokenizers.select(model_name, tokenizer_id), expected)
  })
})

describe("Tokenizers", () => {
  const run = <A, E>(files: FakeHub.Files, use: (hub: FakeHub.FakeHub) => Effect.Effect<A, E, Tokenizers.Tokenizers>) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cache = yield* fs.makeTempDirectoryScoped()
      const hub = yield* FakeHub.make({ repositories: { "org/model": { files } } })
      const layer = Tokenizers.layer({ directories: { "effect-tinker/nano": nano, "thinkingmachines/x": nano } }).pipe(
        Layer.provide(Hub.layer({ cache, endpoint: hub.endpoint })),
        Layer.provide([hub.layer, NodeContext.layer])
      )
      return yield* Effect.provide(use(hub), layer)
    }).pipe(Effect.provide(NodeContext.layer))

  it.scoped("loads a tokenizer from the hub once", () =>
    run({ "tokenizer.json": { content: readFileSync(`${nano}/tokenizer.json`, "utf8"), large: true } }, (hub) =>
      Effect.gen(function* () {
        const { forModel } = yield* Tokenizers.Tokenizers
        const [one, two] = yield* Effect.all([forModel("org/model:x"), forModel("org/model/variant")], {
          concurrency: "unbounded"
        })
        assert.strictEqual(one, two)
        assert.strictEqual(one.decode(one.encode("walk -> walked")), "walk -> walked")
        assert.strictEqual((yield* hub.requests).filter(({ kind }) => kind === "storage").length, 1)
        const again = yield* Effect.provide(Tokenizer.Tokenizer, Tokenizers.layerTokenizer("anything", "org/model"))
        assert.strictEqual(again, one)
      })
    )
  )

  it.scoped("prefers the given directories to the hub", () =>
    run({}, (hub) =>
      Effect.gen(function* () {
        const { forModel } = yield* Tokenizers.Tokenizers
        const nanos = yield* forModel("effect-tinker/nano")
        assert.isAbove(nanos.vocabSize, 0)
        assert.strictEqual(yield* forModel("a/b", "effect-tinker/nano"), nanos)
        assert.strictEqual(yield* forModel("thinkingmachines/x"), nanos)
        assert.deepStrictEqual(yield* hub.requests, [])
      })
    )
  )

  it.scoped("takes a directory of this machine that a service names, unless one is given for the model", () =>
    run({}, (hub) =>
      Effect.gen(function* () {
        const { forModel } = yield* Tokenizers.Tokenizers
        const named = yield* forModel("a/b", nano)
        assert.isAbove(named.vocabSize, 0)
        assert.strictEqual(yield* forModel("effect-tinker/nano", "/nowhere"), named)
        const { message } = yield* Effect.flip(forModel("a/b", "/nowhere"))
        assert.match(message, /^\/nowhere is the tokenizer by the word of the service, but no such directory/)
        assert.deepStrictEqual(yield* hub.requests, [])
      })
    )
  )

  it.scoped("rejects tokenizers that are code, that are private, or that do not exist", () =>
    run({ "tiktoken.model": { content: "" } }, () =>
      Effect.gen(function* () {
        const { forModel } = yield* Tokenizers.Tokenizers
        const reason = (name: string) => Effect.map(Effect.flip(forModel(name)), (error) => error.message)
        assert.match(yield* reason("org/model"), /^org\/model has no tokenizer\.json: its tokenizer is Python code/)
        assert.match(yield* reason("TML/y"), /^TML\/y is not on the Hugging Face hub: give its directory/)
        assert.match(yield* reason("org/absent"), /^org\/absent at main: it does not exist or is private/)
      })
    )
  )
})
