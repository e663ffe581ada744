import * as Datum from "@effect-tinker/api/Datum"
import * as Engine from "@effect-tinker/server/Engine"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as Path from "@effect/platform/Path"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as JaxEngine from "../../src/JaxEngine.ts"
import * as ModelDirectory from "../../src/ModelDirectory.ts"
import * as fixtures from "../utils/fixtures.ts"
import { crossEntropy, sampleRequest, trainAll } from "../utils/requests.ts"

interface Nano {
  readonly model_sha256: string
  readonly data_sha256: string
  readonly rank: number
  readonly batch: number
  readonly steps: number
  readonly adam: fixtures.Tiny["adamw"][number]["adam"]
  readonly init: Record<string, { readonly probe: ReadonlyArray<number>; readonly sum: number }>
  readonly losses: ReadonlyArray<number>
  readonly tokens: ReadonlyArray<number>
  readonly greedy: ReadonlyArray<{ readonly prompt: string; readonly base: string; readonly tuned: string }>
}

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex")

const mix = (h: number): number => {
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The slower executor of two has all steps at night only: each of its numbers is compared elsewhere as well. */
const isWhole = (executor: "wasm" | "native") =>
  process.env["NIGHTLY"] !== undefined || executor === fixtures.availableExecutors.at(-1)

/** The initial adapter of the reference, which any language can reproduce. */
const initialAdapter = (adapter: Engine.Adapter): Engine.Adapter => {
  const matrices = Object.entries(adapter.weights).filter(([name]) => name.includes("lora_A"))
  const weights = matrices.map(([name, { shape }], k) => {
    const columns = shape[1]!
    const data = Float32Array.from({ length: shape[0]! * columns }, (_, i) => {
      const h = mix((i + Math.imul(k, 0x9e3779b9)) | 0)
      return ((2 * h) / 2 ** 32 - 1) / Math.sqrt(columns)
    })
    return [name, { shape, data }] as const
  })
  return { ...adapter, weights: { ...adapter.weights, ...Object.fromEntries(weights) } }
}

describe("The directory of the model that ships", () => {
  it("lists the SHA-256 of its files, by which pages fetch them", () => {
    const directory = fileURLToPath(new URL("../../models/nano/", import.meta.url))
    const names = readdirSync(directory).filter((name) => !["README.md", "SHA256SUMS"].includes(name))
    const sums = names.sort().map((name) => `${sha256(directory + name)}  ${name}\n`)
    assert.strictEqual(readFileSync(`${directory}SHA256SUMS`, "utf8"), sums.join(""))
  })
})

describe.each(fixtures.availableExecutors)("The model that ships, on %s,", (executor) => {
  it.scoped("has the losses of the reference over its steps, and its greedy samples before and after", () =>
    Effect.gen(function* () {
      const fixture = fixtures.read<Nano>("nano.json")
      const { join } = yield* Path.Path
      const directory = yield* ModelDirectory.nano
      const dataPath = fileURLToPath(new URL("../../../../examples/data/past-tense.jsonl", import.meta.url))
      assert.strictEqual(
        sha256(join(directory, "model.safetensors")),
        fixture.model_sha256,
        "run reference/make_fixtures.py"
      )
      assert.strictEqual(sha256(dataPath), fixture.data_sha256, "run reference/make_fixtures.py")
      const { decode, encode } = yield* Tokenizer.fromDirectory(directory)

      const engine = yield* Engine.Engine
      assert.deepStrictEqual(engine.models, [
        { model_name: JaxEngine.nano, max_context_length: 1024, arch: "qwen3", vocab_size: 259 }
      ])
      const model = yield* engine.createModel({
        base_model: JaxEngine.nano,
        lora_config: { rank: fixture.rank, seed: 0, ...trainAll }
      })
      yield* model.load(initialAdapter(yield* model.adapter), undefined)
      for (const [name, { data }] of Object.entries((yield* model.adapter).weights)) {
        const init = fixture.init[name.slice("base_model.model.".length, name.indexOf(".lora_"))]!
        if (name.includes("lora_A")) fixtures.assertNear(data.slice(0, 4), init.probe, name, 1e-6)
      }

      const rows = readFileSync(dataPath, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { readonly prompt: string; readonly completion: string })
      const data = rows.map(({ completion, prompt }) => Datum.fromPromptCompletion(encode(prompt), encode(completion)))
      for (let step = 0; step < (isWhole(executor) ? fixture.steps : 8); step++) {
        const batch = data.slice(step * fixture.batch, (step + 1) * fixture.batch)
        const { metrics } = yield* model.forwardBackward(crossEntropy(batch))
        yield* model.optimStep(fixture.adam)
        const difference = Math.abs(metrics["loss:sum"]! - fixture.losses[step]!) / fixture.tokens[step]!
        assert.isBelow(difference, 1e-4, `step ${step}: loss per token`)
      }

      const adapter = yield* model.adapter
      for (const state of isWhole(executor) ? (["base", "tuned"] as const) : (["base"] as const)) {
        const sampler = yield* engine.createSampler({
          base_model: JaxEngine.nano,
          adapter: state === "base" ? undefined : adapter
        })
        for (const one of fixture.greedy) {
          const params = { max_tokens: 40, temperature: 0, stop: "\n" }
          const { sequences } = yield* sampler.sample(sampleRequest({ prompt: [...encode(one.prompt)], params }))
          // the reference truncates texts that are no past tense
          assert.isTrue(decode(sequences[0]!.tokens).startsWith(one[state]), `${one.prompt} ${state}`)
        }
      }
    }).pipe(Effect.provide(JaxEngine.layer({ executor })), Effect.provide(NodeContext.layer))
  )
})
