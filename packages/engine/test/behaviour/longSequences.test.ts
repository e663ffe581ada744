import * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as Training from "@effect-tinker/api/Training"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as sampler from "../../src/internal/generation/sampler.ts"
import * as loaded from "../../src/internal/model/loaded.ts"
import type { LoadedModel } from "../../src/internal/model/loaded.ts"
import * as rowAdapter from "../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../src/internal/training/trainer.ts"
import * as fixtures from "../utils/fixtures.ts"
import { adamParams, sampleRequest, trainAll } from "../utils/requests.ts"

/** The same model, which computes everything layer by layer, in blocks of 16 positions. */
const inBlocks = (model: LoadedModel): LoadedModel => ({ ...model, blocks: { size: 16, largestWhole: 0 } })

/** Also computes the unembedding in parts of the vocabulary, of which the last one is smaller. */
const inParts = (model: LoadedModel): Effect.Effect<LoadedModel, Engine.EngineError> =>
  Effect.map(loaded.headParts(model.directory, model.weights, model.executor, 60), (headParts) => ({
    ...inBlocks(model),
    headParts
  }))

const tokens = (length: number, seed: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => (3 + seed * 31 + i * 7 + ((i * i) % 11)) % 200)

// some share a row, some rows are padded, and one has several blocks
const lengths = [57, 20, 9, 30]

const supervised = lengths.map((length, i) =>
  Datum.forLoss("cross_entropy", {
    model_input: tokens(length, i),
    loss_fn_inputs: {
      target_tokens: tokens(length, i + 1),
      weights: Float32Array.from({ length }, (_, j) => (j % 5 === 0 ? 0 : 1 / (1 + (j % 3))))
    }
  })
)

const sampled = lengths.map((length, i) =>
  Datum.forLoss("ppo", {
    model_input: tokens(length, i),
    loss_fn_inputs: {
      target_tokens: tokens(length, i + 1),
      logprobs: new Float32Array(length).fill(-5),
      advantages: Float32Array.from({ length }, (_, j) => Math.sin(j))
    }
  })
)

/** Two targets at each position. */
const distilled = lengths.map((length, i) =>
  Datum.make({
    model_input: tokens(length, i),
    loss_fn_inputs: {
      target_tokens: Array.from(tokens(length, i + 1), (token) => [token, (token + 1) % 200]),
      weights: Array.from({ length }, (_, j) => [0.5, 1 / (1 + j)])
    }
  })
)

interface Trained {
  readonly forward: Training.ForwardBackwardOutput
  readonly backward: Training.ForwardBackwardOutput
  readonly gradient: Record<string, Float32Array>
}

const train = (
  base: LoadedModel,
  loss_fn: Engine.PassOptions["loss_fn"],
  data: ReadonlyArray<Datum.Datum>,
  trained: typeof trainAll
): Effect.Effect<Trained, Engine.EngineError> =>
  Effect.gen(function* () {
    const model = yield* trainer.make(base, { rank: 4, seed: 3, ...trained })
    const options = { data, loss_fn, loss_fn_config: {} }
    // B is zero at first, so that gradients of A would be zero
    yield* model.forwardBackward(options)
    yield* model.optimStep(adamParams)
    const forward = yield* model.forward(options)
    const backward = yield* model.forwardBackward(options)
    return { forward, backward, gradient: { ...(yield* fixtures.takeGradient(model)) } }
  })

const assertEqual = (actual: Trained, expected: Trained): void => {
  for (const pass of ["forward", "backward"] as const) {
    fixtures.assertNear([actual[pass].metrics["loss:sum"]!], [expected[pass].metrics["loss:sum"]!], "loss", 1e-5)
    expected[pass].loss_fn_outputs.forEach((output, i) => {
      const [found, wanted] = [actual[pass].loss_fn_outputs[i]!["logprobs"]!, output["logprobs"]!]
      assert.deepStrictEqual(found.shape, wanted.shape)
      fixtures.assertNear(found.data as Float32Array, wanted.data as Float32Array, "logprobs", 1e-5)
    })
  }
  for (const [name, values] of Object.entries(expected.gradient)) {
    assert.isTrue(values.some((value) => value !== 0))
    fixtures.assertNear(actual.gradient[name]!, values, name, 1e-5)
  }
}

const request = sampleRequest({
  prompt: [...tokens(41, 1)],
  num_samples: 3,
  params: { max_tokens: 6, seed: 5, stop: [] },
  prompt_logprobs: true,
  topk_prompt_logprobs: 3,
  topk_sample_logprobs: 2,
  prompt_alt_tokens_k: 2,
  target_prompt_logprobs: TensorData.int64(Array.from({ length: 40 }, (_, i) => [i % 3 === 0 ? -1 : i, i + 7]))
})

for (const executor of fixtures.availableExecutors) {
  describe(`A model that computes in blocks, on ${executor}`, () => {
    it.scoped("has the losses, logprobs and gradients of one program", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(fixtures.path("tiny-qwen3"), 64, executor)
        const expected = yield* train(base, "cross_entropy", supervised, trainAll)
        const actual = yield* train(inBlocks(base), "cross_entropy", supervised, trainAll)
        assertEqual(actual, expected)
        // equal bits for equal input
        assert.deepStrictEqual(yield* train(inBlocks(base), "cross_entropy", supervised, trainAll), actual)
        assertEqual(yield* train(yield* inParts(base), "cross_entropy", supervised, trainAll), expected)
      })
    )

    it.scoped("reads and continues prompts as one program does", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(fixtures.path("tiny-qwen3"), 64, executor)
        const expected = yield* sampler.sample(base, rowAdapter.none, request)
        const actual = yield* sampler.sample(inBlocks(base), rowAdapter.none, request)
        actual.sequences.forEach(({ logprobs, tokens, topk_logprobs }, i) => {
          assert.deepStrictEqual(tokens, expected.sequences[i]!.tokens)
          fixtures.assertNear(logprobs!, expected.sequences[i]!.logprobs!, "logprobs", 1e-5)
          const flat = (top: typeof topk_logprobs) => top!.flat(2).map(Number)
          fixtures.assertNear(flat(topk_logprobs), flat(expected.sequences[i]!.topk_logprobs), "top", 1e-5)
        })
        // the first position has no scores
        const near = (found: ArrayLike<number | null>, wanted: ArrayLike<number | null>) =>
          fixtures.assertNear(Array.from(found, Number).slice(1), Array.from(wanted, Number).slice(1), "prompt", 1e-5)
        const top = ({ topk_prompt_logprobs }: typeof actual) =>
          topk_prompt_logprobs!.flatMap((all) => all ?? []).flat()
        near(actual.prompt_logprobs!, expected.prompt_logprobs!)
        near(top(actual), top(expected))
        near(
          TensorData.toNumbers(actual.target_prompt_logprobs!),
          TensorData.toNumbers(expected.target_prompt_logprobs!)
        )
        assert.deepStrictEqual(actual.prompt_alt_tokens!.tokens, expected.prompt_alt_tokens!.tokens)
      })
    )
  })
}

describe("A model that computes in blocks", () => {
  for (const [name, loss, data, trained] of [
    ["policy losses, on attention alone", "ppo", sampled, { ...trainAll, train_mlp: false, train_unembed: false }],
    [
      "several targets, on the unembedding alone",
      "cross_entropy",
      distilled,
      { ...trainAll, train_attn: false, train_mlp: false }
    ]
  ] as const) {
    it.scoped(`has the gradients of one program for ${name}`, () =>
      Effect.gen(function* () {
        const executor = fixtures.isNativeAvailable ? "native" : "wasm"
        const base = yield* fixtures.load(fixtures.path("tiny-llama"), 64, executor)
        const expected = yield* train(base, loss, data, trained)
        assertEqual(yield* train(inBlocks(base), loss, data, trained), expected)
        assertEqual(yield* train(yield* inParts(base), loss, data, trained), expected)
      })
    )
  }
})
