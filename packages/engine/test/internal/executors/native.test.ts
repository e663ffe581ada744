import { BinaryReader } from "@bufbuild/protobuf/wire"
import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as architecture from "../../../src/internal/model/architecture.ts"
import { decodeStep } from "../../../src/internal/programs/decodeStep.ts"
import { forwardBackward } from "../../../src/internal/programs/forwardBackward.ts"
import { prefill } from "../../../src/internal/programs/prefill.ts"
import type { Program, TensorValues, Traced } from "../../../src/internal/executors/executor.ts"
import * as executors from "../../../src/internal/executors/choose.ts"
import { Message } from "../../../src/internal/onnx/protobuf.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as ModelDirectory from "../../../src/ModelDirectory.ts"
import { numpy as np } from "@jax-js/jax"
import { NodeContext } from "@effect/platform-node"
import * as fixtures from "../../utils/fixtures.ts"

/** Values for a program's inputs, the same each time. */
const inputsOf = (program: Program, vocabulary: number): Record<string, TensorValues> => {
  let state = 1
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state / 2 ** 32 - 0.5) * 0.4
  }
  const entries = Object.entries(program.inputs).map(([name, { dtype, shape }]) => {
    const length = shape.reduce((size, dimension) => size * dimension, 1)
    const data =
      dtype === "int32"
        ? Int32Array.from({ length }, (_, i) => (name === "token_ids" ? i : (i * 7) % vocabulary))
        : Float32Array.from({ length }, name === "high" ? () => 3.4e38 : next)
    return [name, data] as const
  })
  return Object.fromEntries(entries)
}

const onBoth = (program: Program, inputs: Record<string, TensorValues>) =>
  Effect.forEach(["wasm", "native"] as const, (choice) =>
    Effect.scoped(
      Effect.gen(function* () {
        const executor = yield* executors.make(choice, 1)
        const executable = yield* executor.compile(program)
        return yield* executable.run(inputs)
      })
    )
  )

/** Largest relative difference of outputs, each in units of its own largest value. */
const agree = (program: Program, inputs: Record<string, TensorValues>) =>
  Effect.map(onBoth(program, inputs), ([wasm, native]) => {
    assert.strictEqual(native!.length, wasm!.length)
    wasm!.forEach((expected, i) => fixtures.near(native![i]!, expected, `${program.key} ${i}`, 1e-5))
  })

describe("protobuf", () => {
  it("is written as a reader expects it", () => {
    const inner = new Message().ints(8, [1, 0, -1, 2 ** 40])
    const long = "é".repeat(100)
    const bytes = new Message().int(1, 300).string(2, long).float(4, 0.5).message(5, inner).finish()
    const reader = new BinaryReader(bytes)
    assert.deepStrictEqual(reader.tag(), [1, 0])
    assert.strictEqual(reader.uint32(), 300)
    assert.deepStrictEqual(reader.tag(), [2, 2])
    assert.strictEqual(reader.string(), long)
    assert.deepStrictEqual(reader.tag(), [4, 5])
    assert.strictEqual(reader.float(), 0.5)
    assert.deepStrictEqual(reader.tag(), [5, 2])
    const nested = new BinaryReader(reader.bytes())
    for (const expected of [1, 0, -1, 2 ** 40]) {
      assert.deepStrictEqual(nested.tag(), [8, 0])
      assert.strictEqual(Number(nested.int64()), expected)
    }
    assert.strictEqual(reader.pos, bytes.length)
  })
})

describe.skipIf(!fixtures.isNativeHere)("the native executor", () => {
  it.effect("gives what WebAssembly gives, for every program of both families", () =>
    Effect.gen(function* () {
      for (const name of ["tiny-qwen3", "tiny-llama"]) {
        const { config: model } = yield* ModelDirectory.open(fixtures.path(name))
        const linears = architecture.linears(model)
        const programs = [
          forwardBackward(model, linears, 2, { rows: 2, length: 16, targets: 1 }, true),
          forwardBackward(model, linears.slice(0, 3), 4, { rows: 1, length: 32, targets: 3 }, true),
          forwardBackward(model, linears, 2, { rows: 2, length: 16, targets: 2 }, false),
          prefill(model, 16, true),
          prefill(model, 16, false),
          decodeStep(model, 4, 64),
          decodeStep(model, 1, 64)
        ]
        for (const program of programs) yield* agree(program, inputsOf(program, model.vocab_size))
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  // shapes that the model does not have, so that views meet in all ways
  it.effect("gives what WebAssembly gives for single operators on views", () => {
    type Inputs = { readonly x: Traced; readonly y: Traced; readonly z: Traced }
    const cases: Record<string, (inputs: Inputs) => ReadonlyArray<Traced>> = {
      "broadcasts and sums": ({ x, y, z }) => [
        x.ref.transpose([2, 0, 1]).add(y.ref.transpose()).sum([0, 2]),
        x.ref.sum(),
        x.max(1, { keepdims: true }).mul(np.minimum(y, z.reshape([1, 1])).sum())
      ],
      reshapes: ({ x, y, z }) => [
        x.ref.reshape([6, 4]),
        x.ref.transpose([1, 0, 2]).reshape([3, 8]),
        x.ref.transpose([1, 2, 0]).reshape([12, 1, 2]).add(z.ref),
        np.flip(x.ref.transpose([2, 1, 0]), [0, 1]),
        np.broadcastTo(y.ref.reshape([1, 3, 2]), [4, 3, 2]).reshape([2, 2, 6]),
        np.broadcastTo(z.ref, [2, 3]).transpose().reshape([6]),
        np.where(x.less(z), y.sum(), 1)
      ],
      products: ({ x, y, z }) => [
        np.matmul(x.ref, x.ref.transpose([0, 2, 1])),
        np.matmul(x.ref.transpose([2, 1, 0]), y.ref.transpose()),
        np.matmul(y.ref.transpose(), np.broadcastTo(z.ref, [3, 5])),
        np.matmul(np.broadcastTo(z.ref, [5, 3]), np.broadcastTo(z, [3, 2])),
        np.matmul(x.transpose([0, 2, 1]), y)
      ]
    }
    return Effect.forEach(Object.entries(cases), ([key, build]) => {
      const program: Program = {
        key,
        inputs: {
          x: { shape: [2, 3, 4], dtype: "float32" },
          y: { shape: [3, 2], dtype: "float32" },
          z: { shape: [], dtype: "float32" }
        },
        trace: ({ x, y, z }) => build({ x: x!, y: y!, z: z! })
      }
      return agree(program, inputsOf(program, 1))
    })
  })

  it.effect("keeps gradients finite where gates are far below zero, as WebAssembly does", () =>
    Effect.gen(function* () {
      const { config: model } = yield* ModelDirectory.open(fixtures.path("tiny-llama"))
      const shape = { rows: 1, length: 16, targets: 1 }
      const program = forwardBackward(model, architecture.linears(model), 2, shape, true)
      const inputs = inputsOf(program, model.vocab_size)
      for (const [name, data] of Object.entries(inputs)) {
        if (name.endsWith("gate_proj.weight")) data.forEach((value, i) => (data[i] = value * 1e4))
      }
      for (const outputs of yield* onBoth(program, inputs)) {
        outputs.forEach((output, i) => assert.isTrue(output.every(Number.isFinite), `output ${i}`))
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  // products with few rows turn a large matrix's way, and norms, logistics and what is not quite one are operators
  it.effect("gives what WebAssembly gives where operators take the place of others", () => {
    const normal = (x: Traced, axis: number, scale: number) =>
      x.ref.mul(np.reciprocal(np.sqrt(x.ref.mul(x).sum(axis, { keepdims: true }).mul(scale).add(1e-6))))
    const program: Program = {
      key: "fused",
      inputs: {
        x: { shape: [8, 512], dtype: "float32" },
        w: { shape: [520, 512], dtype: "float32" },
        v: { shape: [512], dtype: "float32" },
        u: { shape: [1, 512], dtype: "float32" },
        t: { shape: [512, 16], dtype: "float32" },
        s: { shape: [512, 600], dtype: "float32" }
      },
      trace: (inputs) => {
        const [x, w, v, u] = [inputs["x"]!, inputs["w"]!, inputs["v"]!, inputs["u"]!]
        const [t, s] = [inputs["t"]!, inputs["s"]!]
        const product = np.matmul(x.ref, w.transpose())
        return [
          product.ref.reshape([2, 4, 520]).sum(1),
          product,
          normal(x.ref, -1, 1 / 512).mul(v.ref),
          v.ref.mul(normal(x.ref, -1, 1 / 512)),
          normal(x.ref, -1, 1 / 512).mul(u),
          normal(x.ref, -1, 1 / 256).mul(v.ref),
          normal(x.ref, 0, 1 / 512).mul(v.ref),
          normal(x.ref.reshape([8, 2, 256]), -1, 1 / 256).mul(v.reshape([2, 256])),
          np.reciprocal(np.exp(x.ref.neg()).add(1)),
          np.reciprocal(np.exp(x.ref).add(1)),
          np.reciprocal(np.exp(np.minimum(x.ref.neg(), 80)).add(1)),
          np.reciprocal(np.exp(np.minimum(x.ref.neg(), 0.01)).add(1)),
          // as in the gradient of an adapter of low rank: both would have to be turned
          np.matmul(t.ref.transpose(), s.ref),
          np.matmul(s.ref.transpose(), t),
          np.matmul(x, s)
        ]
      }
    }
    return agree(program, inputsOf(program, 1))
  })

  const data = [Datum.fromPromptCompletion([20, 40, 60], [80, 100, 120])]
  const pass = { data, loss_fn: "cross_entropy", loss_fn_config: {} }
  const load = fixtures.load(fixtures.path("tiny-qwen3"), undefined, "native")

  it.effect("gives the same bits each time", () =>
    Effect.gen(function* () {
      const run = Effect.scoped(
        Effect.gen(function* () {
          const model = yield* trainer.make(yield* load, { rank: 4, seed: 0, ...fixtures.switches })
          for (let i = 0; i < 5; i++) {
            yield* model.forwardBackward(pass)
            yield* model.optimStep(fixtures.adamParams)
          }
          return (yield* model.adapter).weights
        })
      )
      assert.deepStrictEqual(yield* run, yield* run)
    })
  )

  it.effect("lets a run end that is interrupted, and goes on with the next", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* trainer.make(yield* load, { rank: 4, seed: 0, ...fixtures.switches })
        const { metrics } = yield* model.forwardBackward(pass)
        yield* model.optimStep({ ...fixtures.adamParams, learning_rate: 0 })
        const fiber = yield* Effect.fork(Effect.forever(model.forwardBackward(pass)))
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual((yield* model.forward(pass)).metrics, metrics)
      })
    )
  )

  it.scoped("refuses to run when its scope has closed", () =>
    Effect.gen(function* () {
      const model = yield* Effect.scoped(
        Effect.gen(function* () {
          const model = yield* trainer.make(yield* load, { rank: 4, seed: 0, ...fixtures.switches })
          yield* model.forward(pass)
          return model
        })
      )
      const error = yield* Effect.flip(model.forward(pass))
      assert.strictEqual(error.category, "server")
    })
  )

  it.scoped("needs no more memory over many steps", () =>
    Effect.gen(function* () {
      const base = yield* load
      const model = yield* trainer.make(base, { rank: 4, seed: 0, ...fixtures.switches })
      const round = Effect.gen(function* () {
        yield* model.forwardBackward(pass)
        yield* model.optimStep(fixtures.adamParams)
        yield* sampler.sample(base, base.stored, {
          prompt: ModelInput.fromTokens([10, 11, 12]),
          num_samples: 4,
          sampling_params: { max_tokens: 3, temperature: 1, top_k: -1, top_p: 1, seed: 0, stop: [] },
          prompt_logprobs: false,
          topk_prompt_logprobs: 0
        })
      })
      yield* Effect.replicateEffect(round, 50, { discard: true })
      const before = process.memoryUsage.rss()
      yield* Effect.replicateEffect(round, 300, { discard: true })
      // the garbage of a while, but not a copy of the weights or of the gradients per step
      assert.isBelow(process.memoryUsage.rss() - before, 100e6)
    })
  )
})

describe("the choice of an executor", () => {
  it.scoped("takes what there is", () =>
    Effect.gen(function* () {
      const { name } = yield* executors.make("auto", 1)
      assert.strictEqual(name, fixtures.isNativeHere ? "native" : "wasm")
      assert.strictEqual((yield* executors.make("wasm", 1)).name, "wasm")
    })
  )
})
