/**
 * Trains adapters over a socket, exports them in every form, and lets PEFT, transformers and llama.cpp open them: `check.py`
 * compares their greedy answers and logprobs with the service's.
 */
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as CheckpointDownload from "@effect-tinker/client/CheckpointDownload"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as ModelExport from "@effect-tinker/engine/ModelExport"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"
import { inEnvironment, prepare, run } from "../python.ts"

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const environment = path(".venv")
const apiKey = Redacted.make("tml-export")

const fixtures = path("../../packages/engine/test/fixtures/")

/** One model whose unembedding is shared, and one in whose GGUF files rows are in pairs. */
const models = ["tiny-qwen3", "tiny-llama"].map((name) => ({ name, directory: `${fixtures}${name}` }))

/** A model of each other family, without a tokenizer: their adapters are opened by PEFT alone. */
const families = ["gemma3", "mistral", "phi3", "qwen2", "smollm3"].map((name) => ({
  name,
  directory: `${fixtures}families/${name}`
}))

const text = "the quick brown fox jumps over the lazy dog, and walk -> walked"
const prompts = ["the quick", "walk ->", "lazy"]

/** Trains an adapter of all layers, and exports it for PEFT; with the logprobs of the tokens that it learned. */
const trainOne = (name: string, tokens: ReadonlyArray<number>, directory: string) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const data = [Datum.fromPromptCompletion(tokens.slice(0, 1), tokens.slice(1))]
    const training = yield* service.createLoraTrainingClient({ base_model: name, rank: 8, seed: 1 })
    for (let step = 0; step < 40; step++) {
      yield* training.forwardBackward(data, "cross_entropy")
      yield* Fiber.join(yield* training.optimStep({ learning_rate: 0.01 }))
    }
    const { loss_fn_outputs } = yield* Fiber.join(yield* training.forward(data, "cross_entropy"))
    const { path } = yield* Fiber.join(yield* training.saveWeightsForSampler("final"))
    yield* CheckpointDownload.exportPeft(path, { directory })
    return { path, tokens, logprobs: TensorData.toNumbers(loss_fn_outputs[0]!["logprobs"]!) }
  })

/** What a service says of a model with an adapter, for Python to compare. */
interface Expected {
  /** the directory of the base model */
  readonly base: string
  readonly tokens: ReadonlyArray<number>
  readonly logprobs: ReadonlyArray<number>
  readonly answers?: ReadonlyArray<{ readonly prompt: string; readonly tokens: ReadonlyArray<number> }>
}

const writeExpected = (out: string, expected: Expected) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(`${out}/expected.json`, JSON.stringify(expected)))

/** Exports an adapter in every form, with what the service answers. */
const exportOne = (name: string, directory: string, out: string) =>
  Effect.gen(function* () {
    const service = yield* ServiceClient.ServiceClient
    const tokenizer = yield* Tokenizer.fromDirectory(directory)
    const adapter = `${out}/adapter`
    const { logprobs, path, tokens } = yield* trainOne(name, tokenizer.encode(text), adapter)
    const sampling = yield* service.createSamplingClient({ model_path: path })
    const answers = yield* Effect.forEach(prompts, (prompt) =>
      Effect.map(
        sampling.sample(ModelInput.fromTokens(tokenizer.encode(prompt)), {
          sampling_params: { max_tokens: 16, temperature: 0, stop: [] }
        }),
        ({ sequences }) => ({ prompt, tokens: Array.from(sequences[0]!.tokens) })
      )
    )
    yield* ModelExport.toDirectory({ base: directory, adapter, out: `${out}/merged` })
    for (const type of ["f16", "q8_0"] as const) {
      yield* ModelExport.toGguf({ base: directory, adapter, out: `${out}/${type}.gguf`, type })
    }
    yield* writeExpected(out, { base: directory, tokens, logprobs, answers })
  })

/** Exports an adapter for PEFT alone. */
const exportAdapter = (name: string, directory: string, out: string) =>
  Effect.gen(function* () {
    const tokens = Array.from({ length: 24 }, (_, i) => (i * 37 + 11) % 96)
    const { logprobs } = yield* trainOne(name, tokens, `${out}/adapter`)
    yield* writeExpected(out, { base: directory, tokens, logprobs })
  })

/** The directory of what is exported of a model. */
const placeOf = (out: string, name: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const place = `${out}/${name.replaceAll("/", "-")}`
    yield* fs.makeDirectory(place, { recursive: true })
    return place
  })

/** Succeeds with whether no step failed. */
export const main = Effect.gen(function* () {
  const packages = ["torch", "transformers>=5", "peft", "xllamacpp"]
  const reason = yield* prepare(environment, "PEFT and llama.cpp", packages, "10 minutes")
  if (reason !== undefined) {
    yield* Console.log(`skipped: ${reason}`)
    return true
  }
  const fs = yield* FileSystem.FileSystem
  const out = yield* fs.makeTempDirectoryScoped({ prefix: "export-" })
  const all = [{ name: JaxEngine.nano, directory: yield* ModelDirectory.nano }, ...models]
  const server = NodeServer.layer({ apiKeys: [apiKey] }).pipe(
    Layer.provide([
      JaxEngine.layer({ models: [...models, ...families] }),
      CheckpointStore.layerMemory,
      Store.layerMemory
    ])
  )
  yield* Effect.gen(function* () {
    const baseUrl = yield* NodeServer.baseUrl
    const clients = [ServiceClient.layer({ apiKey, baseUrl }), RestClient.layer({ apiKey, baseUrl })] as const
    for (const { directory, name } of all) {
      const place = yield* placeOf(out, name)
      yield* exportOne(name, directory, place).pipe(Effect.scoped, Effect.provide(clients))
    }
    for (const { directory, name } of families) {
      const place = yield* placeOf(out, name)
      yield* exportAdapter(name, directory, place).pipe(Effect.scoped, Effect.provide(clients))
    }
  }).pipe(Effect.provide(server), Effect.provide(FetchHttpClient.layer))
  const python = inEnvironment(environment, "python")
  const codes = yield* Effect.forEach([...all, ...families], ({ name }) =>
    Effect.flatMap(placeOf(out, name), (place) => run(python, path("check.py"), place))
  )
  return codes.every((code) => code === 0)
}).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
