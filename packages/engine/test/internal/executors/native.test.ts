import * as Datum from "@effect-tinker/api/Datum"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as architecture from "../../../src/internal/model/architecture.ts"
import { extend } from "../../../src/internal/programs/extend.ts"
import { forwardBackward } from "../../../src/internal/programs/forwardBackward.ts"
import type { Program, TensorValues, Traced } from "../../../src/internal/executors/executor.ts"
import * as executors from "../../../src/internal/executors/choose.ts"
import * as sampler from "../../../src/internal/generation/sampler.ts"
import * as rowAdapter from "../../../src/internal/lora/rowAdapter.ts"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as ModelDirectory from "../../../src/ModelDirectory.ts"
import { numpy as np } from "@jax-js/jax"
import { NodeContext } from "@effect/platform-node"
import * as fixtures from "../../utils/fixtures.ts"
import { adamParams, crossEntropy, sampleRequest, trainAll } from "../../utils/requests.ts"

/** Deterministic inputs of a program. */
const makeInputs = (program: Program, vocabulary: number): Record<string, TensorValues> => {
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

/** The outputs of a program on both executors. */
const runOnBoth = (program: Program, inputs: Record<string, TensorValues>) =>
  Effect.forEach(["wasm", "native"] as const, (choice) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { executor } = yield* executors.make(choice, 1)
        const executable = yield* executor.compile(program)
        return yield* executable.run(inputs)
      })
    )
  )

/** Asserts that both executors give the same outputs up to rounding. */
const assertAgreement = (program: Program, inputs: Record<string, TensorValues>) =>
  Effect.map(runOnBoth(program, inputs), ([wasm, native]) => {
    assert.strictEqual(native!.length, wasm!.length)
    wasm!.forEach((expected, i) => fixtures.assertNear(native![i]!, expected, `${program.key} ${i}`, 1e-5))
  })

describe.skipIf(!fixtures.isNativeAvailable)("The native executor", () => {
  it.effect("agrees with wasm on every program of both model families", () =>
    Effect.gen(function* () {
      for (const name of ["tiny-qwen3", "tiny-llama"]) {
        const { config: model } = yield* ModelDirectory.open(fixtures.path(name))
        const linears = architecture.linears(model)
        const programs = [
          forwardBackward(model, linears, 2, { rows: 2, length: 16, targets: 1 }, true),
          forwardBackward(model, linears.slice(0, 3), 4, { rows: 1, length: 32, targets: 3 }, true),
          forwardBackward(model, linears, 2, { rows: 2, length: 16, targets: 2 }, false),
          extend(model, { rows: 1, length: 16, capacity: 1 }),
          extend(model, { rows: 1, length: 16, capacity: 64 }),
          extend(model, { rows: 4, length: 1, capacity: 64 }),
          extend(model, { rows: 1, length: 1, capacity: 64 }),
          // sizes that are markers of programs of symbolic sizes
          extend(model, { rows: 31, length: 1, capacity: 29 }),
          extend(model, { rows: 1, length: 31, capacity: 37 })
        ]
        for (const program of programs) yield* assertAgreement(program, makeInputs(program, model.vocab_size))
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  // shapes that the model does not have, to cover all kinds of views
  it.effect("agrees with wasm on single operators, broadcasts and transposes", () => {
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
      return assertAgreement(program, makeInputs(program, 1))
    })
  })

  it.effect("keeps gradients finite where gates are far below zero, as wasm does", () =>
    Effect.gen(function* () {
      const { config: model } = yield* ModelDirectory.open(fixtures.path("tiny-llama"))
      const shape = { rows: 1, length: 16, targets: 1 }
      const program = forwardBackward(model, architecture.linears(model), 2, shape, true)
      const inputs = makeInputs(program, model.vocab_size)
      for (const [name, data] of Object.entries(inputs)) {
        if (name.endsWith("gate_proj.weight")) data.forEach((value, i) => (data[i] = value * 1e4))
      }
      for (const outputs of yield* runOnBoth(program, inputs)) {
        outputs.forEach((output, i) => assert.isTrue(output.every(Number.isFinite), `output ${i}`))
      }
    }).pipe(Effect.provide(NodeContext.layer))
  )

  // products of few rows with a large matrix, RMS norms, sigmoids, and expressions that are almost one of them
  it.effect("agrees with wasm where operators are fused or matrix products are transposed", () => {
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
          // as in the gradient of an adapter of low rank, where both matrices would have to be transposed
          np.matmul(t.ref.transpose(), s.ref),
          np.matmul(s.ref.transpose(), t),
          np.matmul(x, s)
        ]
      }
    }
    return assertAgreement(program, makeInputs(program, 1))
  })

  const data = [Datum.fromPromptCompletion([20, 40, 60], [80, 100, 120])]
  const batch = crossEntropy(data)
  const load = fixtures.loadQwen(undefined, "native")

  it.effect("gives results that are equal to the bit each time", () =>
    Effect.gen(function* () {
      const run = Effect.scoped(
        Effect.gen(function* () {
          const model = yield* trainer.make(yield* load, { rank: 4, seed: 0, ...trainAll })
          for (let i = 0; i < 5; i++) {
            yield* model.forwardBackward(batch)
            yield* model.optimStep(adamParams)
          }
          return (yield* model.adapter).weights
        })
      )
      assert.deepStrictEqual(yield* run, yield* run)
    })
  )

  it.effect("completes an interrupted run before the next one", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* trainer.make(yield* load, { rank: 4, seed: 0, ...trainAll })
        const { metrics } = yield* model.forwardBackward(batch)
        yield* model.optimStep({ ...adamParams, learning_rate: 0 })
        const fiber = yield* Effect.fork(Effect.forever(model.forwardBackward(batch)))
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual((yield* model.forward(batch)).metrics, metrics)
      })
    )
  )

  it.scoped("rejects runs after its scope has closed", () =>
    Effect.gen(function* () {
      const model = yield* Effect.scoped(
        Effect.gen(function* () {
          const model = yield* trainer.make(yield* load, { rank: 4, seed: 0, ...trainAll })
          yield* model.forward(batch)
          return model
        })
      )
      const error = yield* Effect.flip(model.forward(batch))
      assert.strictEqual(error.category, "server")
    })
  )

  it.scoped("does not need more memory over many steps", () =>
    Effect.gen(function* () {
      const base = yield* load
      const model = yield* trainer.make(base, { rank: 4, seed: 0, ...trainAll })
      const round = Effect.gen(function* () {
        yield* model.forwardBackward(batch)
        yield* model.optimStep(adamParams)
        yield* sampler.sample(
          base,
          rowAdapter.none,
          sampleRequest({
            prompt: [10, 11, 12],
            num_samples: 4,
            params: { max_tokens: 3, seed: 0, stop: [] }
          })
        )
      })
      yield* Effect.replicateEffect(round, 50, { discard: true })
      const before = process.memoryUsage.rss()
      yield* Effect.replicateEffect(round, 300, { discard: true })
      // this allows for garbage, but not for a copy of the weights or gradients per step
      assert.isBelow(process.memoryUsage.rss() - before, 100e6)
    })
  )
})
