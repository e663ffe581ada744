import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Engine from "@effect-tinker/server/Engine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Tokenizers from "@effect-tinker/tokenizers/Tokenizers"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"
import * as Embedded from "../src/Embedded.ts"
import * as webEngine from "../src/internal/engine/webEngine.ts"

const base_model = "test/tiny"
const models = [
  { name: base_model, directory: fileURLToPath(new URL("../../engine/test/fixtures/tiny-qwen3", import.meta.url)) }
]

const datum = Datum.fromPromptCompletion([1, 2, 3], [4, 5, 6])

/** Trains one step, and saves the weights for sampling. */
const trainStep = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const training = yield* service.createLoraTrainingClient({ base_model, rank: 4, seed: 1 })
  const forward = yield* training.forwardBackward([datum], "cross_entropy")
  const update = yield* training.optimStep({ learning_rate: 1e-3 })
  const [{ metrics }] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
  const before = metrics["loss:sum"]!
  const after = (yield* Effect.flatMap(training.forward([datum], "cross_entropy"), Fiber.join)).metrics["loss:sum"]!
  const { path } = yield* Effect.flatMap(training.saveWeightsForSampler("step-1"), Fiber.join)
  return { before, after, path }
})

const sampleFrom = (model_path: string) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const sampling = yield* service.createSamplingClient({ model_path })
    const { sequences } = yield* sampling.sample(ModelInput.fromTokens([1, 2, 3]), {
      sampling_params: { max_tokens: 3, temperature: 0 }
    })
    return sequences.map(({ tokens }) => Array.from(tokens))
  })

/** The models that an engine offers. */
const offered = <E>(engine: Layer.Layer<Engine.Engine, E, FileSystem.FileSystem | Path.Path>) =>
  Layer.build(engine).pipe(
    Effect.map((context) => Context.get(context, Engine.Engine).models.map(({ model_name }) => model_name)),
    Effect.scoped,
    Effect.provide(NodeContext.layer)
  )

describe("a model that is given as a text", () => {
  it.scopedLive("is a file or a directory, or is taken from the hub by its name", () =>
    Effect.gen(function* () {
      const file = fileURLToPath(new URL("../../engine/test/fixtures/gguf/tiny-llama.gguf", import.meta.url))
      const names = yield* offered(Embedded.layerEngine({ models: [file, models[0]!.directory], thread: "caller" }))
      assert.deepStrictEqual(names, ["effect-tinker/nano", "tiny-llama", "tiny-qwen3"])
      const cache = yield* Effect.provide(
        Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()),
        NodeContext.layer
      )
      const settings = ConfigProvider.fromMap(new Map([["HF_HUB_CACHE", cache], ["HF_HUB_OFFLINE", "1"]])) // prettier-ignore
      const error = yield* offered(Embedded.layerEngine({ models: ["org/model"], thread: "caller" })).pipe(
        Effect.withConfigProvider(settings),
        Effect.flip
      )
      assert.include(error.message, "org/model: cannot be fetched: org/model at main: the cache at")
    })
  )
})

describe("the embedded service", () => {
  it.scopedLive("names the directory of a model as its tokenizer, which the client loads", () =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      for (const name of [base_model, "effect-tinker/nano"]) {
        const training = yield* service.createLoraTrainingClient({ base_model: name, rank: 1 })
        const { decode, encode } = yield* training.getTokenizer
        assert.strictEqual(decode(encode("walk -> walked")), "walk -> walked", name)
        const untrained = yield* service.createSamplingClient({ base_model: name })
        assert.strictEqual((yield* untrained.getTokenizer).decode(encode("walk")), "walk", name)
      }
    }).pipe(
      Effect.provide(Embedded.layerServiceClient({ models })),
      Effect.provide(Tokenizers.layerConfig()),
      Effect.provide([NodeContext.layer, FetchHttpClient.layer])
    )
  )

  it.scopedLive("trains one step, and samples from the saved weights", () =>
    Effect.gen(function* () {
      const { after, before, path } = yield* trainStep
      assert.isBelow(after, before)
      const [tokens] = yield* sampleFrom(path)
      assert.strictEqual(tokens!.length, 3)
    }).pipe(Effect.provide(Embedded.layerServiceClient({ models })), Effect.provide(NodeContext.layer))
  )

  it.scopedLive("stores checkpoints in its directory, where a later service finds them", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const checkpoints = yield* fs.makeTempDirectoryScoped()
      const service = Embedded.layerServiceClient({ models, checkpoints })
      const [path, tokens] = yield* Effect.provide(
        Effect.flatMap(trainStep, ({ path }) => Effect.map(sampleFrom(path), (tokens) => [path, tokens] as const)),
        service
      )
      const directory = CheckpointStore.directoryOf(yield* Path.Path, checkpoints, path)
      const files = yield* fs.readDirectory(Option.getOrThrow(directory))
      assert.includeMembers(files, ["adapter_config.json", "adapter_model.safetensors"])
      assert.deepStrictEqual(yield* Effect.provide(sampleFrom(path), service), tokens)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scopedLive("handles the requests of any client, whatever its host", () =>
    Effect.gen(function* () {
      const rest = yield* RestClient.RestClient
      const { supported_models } = yield* rest.getServerCapabilities
      assert.include(
        supported_models.map(({ model_name }) => model_name),
        base_model
      )
    }).pipe(
      Effect.provide(RestClient.layer({ apiKey: Redacted.make("tml-any"), baseUrl: "https://any.invalid" })),
      Effect.provide(Embedded.layer({ models })),
      Effect.provide(NodeContext.layer)
    )
  )
})

describe("layerEngine", () => {
  for (const thread of [undefined, "worker", "caller"] as const) {
    it.live(`offers the same models with thread ${thread}`, () =>
      Effect.map(offered(Embedded.layerEngine({ models, thread })), (names) => assert.include(names, base_model))
    )
  }
})

describe("the engine of browsers", () => {
  it.live("computes on the thread of the caller", () =>
    Effect.map(offered(webEngine.layer({ models })), (names) => assert.include(names, base_model))
  )

  it.live("fails with the option of a worker thread", () =>
    Effect.map(Effect.flip(offered(webEngine.layer({ models }, "worker"))), (error) => {
      assert.strictEqual(error._tag, "EngineError")
      assert.include(error.message, "no worker threads")
    })
  )
})
