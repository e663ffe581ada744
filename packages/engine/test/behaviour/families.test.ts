import { NodeContext } from "@effect/platform-node"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as sampler from "../../src/internal/generation/sampler.ts"
import type { LoadedModel } from "../../src/internal/model/loaded.ts"
import * as rowAdapter from "../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../src/internal/training/trainer.ts"
import * as fixtures from "../utils/fixtures.ts"
import { sampleRequest, trainAll } from "../utils/requests.ts"

interface Family extends fixtures.Tiny {
  readonly prompt: ReadonlyArray<number>
  readonly prompt_logprobs: fixtures.Tensor
  readonly greedy: ReadonlyArray<number>
  readonly variants: Record<string, { readonly config: object; readonly prompt_logprobs: fixtures.Tensor }>
}

const names = ["mistral", "qwen2", "smollm3", "phi3", "gemma3"]
const combinations = names.flatMap((name) => fixtures.availableExecutors.map((executor) => [name, executor] as const))

/** The same model, which computes everything layer by layer, in blocks of 16 positions. */
const inBlocks = (model: LoadedModel): LoadedModel => ({ ...model, blocks: { size: 16, largestWhole: 0 } })

/** The logprobs of the prompt, read in chunks behind a KV cache. */
const promptLogprobs = (base: LoadedModel, prompt: ReadonlyArray<number>) =>
  Effect.map(
    sampler.sample(base, rowAdapter.none, sampleRequest({ prompt, prompt_logprobs: true })),
    ({ prompt_logprobs }) => prompt_logprobs!.slice(1) as Float32Array
  )

/** A copy of a fixture's directory with another configuration. */
const copyWith = (name: string, change: object) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    const config = fixtures.read<object>(`families/${name}/config.json`)
    yield* fs.writeFileString(`${directory}/config.json`, JSON.stringify({ ...config, ...change }))
    yield* fs.copyFile(fixtures.path(`families/${name}/model.safetensors`), `${directory}/model.safetensors`)
    return directory
  }).pipe(Effect.provide(NodeContext.layer))

const assertTrains = (base: LoadedModel, fixture: Family) =>
  Effect.gen(function* () {
    const [one] = fixture.cases
    const model = yield* trainer.make(base, { rank: fixture.rank, seed: 0, ...trainAll })
    yield* model.load(fixtures.makeAdapter(fixtures.peftArrays(fixture.lora), fixture.rank), undefined)
    const data = fixture.data[one!.data]!.map(fixtures.datum)
    const output = yield* model.forwardBackward({ data, loss_fn: one!.loss_fn, loss_fn_config: {} })
    fixtures.assertNear([output.metrics["loss:sum"]!], [one!.loss], "loss")
    one!.logprobs.forEach((expected, i) => {
      const logprobs = output.loss_fn_outputs[i]!["logprobs"]!.data as Float32Array
      fixtures.assertNear(logprobs, fixtures.decodeTensor(expected), `logprobs ${i}`)
    })
    const gradient = yield* fixtures.takeGradient(model)
    for (const [weight, expected] of Object.entries(fixtures.peftArrays(one!.grads))) {
      fixtures.assertNear(gradient[weight]!, expected, weight)
    }
  })

for (const [name, executor] of combinations) {
  describe(`A model of the family ${name} on ${executor}`, () => {
    const fixture = fixtures.read<Family>(`families/${name}.json`)
    const load = fixtures.load(fixtures.path(`families/${name}`), undefined, executor)

    it.scoped("trains as transformers with PEFT does, in one program and in blocks", () =>
      Effect.gen(function* () {
        const base = yield* load
        yield* assertTrains(base, fixture)
        yield* assertTrains(inBlocks(base), fixture)
      })
    )

    it.scoped("samples what transformers finds most likely, and scores a prompt as it does", () =>
      Effect.gen(function* () {
        const base = yield* load
        const expected = fixtures.decodeTensor(fixture.prompt_logprobs)
        fixtures.assertNear(yield* promptLogprobs(base, fixture.prompt), expected, "logprobs in chunks")
        fixtures.assertNear(yield* promptLogprobs(inBlocks(base), fixture.prompt), expected, "logprobs in blocks")
        const params = { max_tokens: fixture.greedy.length, temperature: 0, stop: [] }
        const request = sampleRequest({ prompt: fixture.prompt.slice(0, 20), num_samples: 2, params })
        for (const model of [base, inBlocks(base)]) {
          const { sequences } = yield* sampler.sample(model, rowAdapter.none, request)
          for (const { tokens } of sequences) assert.deepStrictEqual(Array.from(tokens), fixture.greedy)
        }
      })
    )

    it.scoped("reads other configurations of the same weights as transformers does", () =>
      Effect.gen(function* () {
        for (const [variant, { config, prompt_logprobs }] of Object.entries(fixture.variants)) {
          const base = yield* fixtures.load(yield* copyWith(name, config), undefined, executor)
          const expected = fixtures.decodeTensor(prompt_logprobs)
          fixtures.assertNear(yield* promptLogprobs(base, fixture.prompt), expected, variant)
        }
      })
    )
  })
}
