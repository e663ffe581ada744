import * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import { numpy as np } from "@jax-js/jax"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as JaxLoss from "../src/JaxLoss.ts"
import { bytes } from "./utils/memories.ts"

const directory = fileURLToPath(new URL("../../engine/test/fixtures/tiny-qwen3", import.meta.url))
const service = Embedded.layerServiceClient({ models: [{ name: "test/tiny", directory }] }).pipe(
  Layer.provide(NodeContext.layer)
)

type Policy = Datum.For<"importance_sampling">

const data: ReadonlyArray<Policy> = [
  [10, 11, 12, 13, 14],
  [20, 40, 60, 80],
  [5, 6, 7]
].map((tokens, i) =>
  Datum.forLoss("importance_sampling", {
    model_input: tokens.slice(0, -1),
    loss_fn_inputs: {
      target_tokens: tokens.slice(1),
      logprobs: tokens.slice(1).map((_, j) => -5.5 - 0.1 * j),
      advantages: tokens.slice(1).map((_, j) => (i % 2 === 0 ? 1 : -0.5) * (1 + 0.25 * j))
    }
  })
)
const numbers = (datum: Policy, name: "logprobs" | "advantages") =>
  Float32Array.from(TensorData.toNumbers(datum.loss_fn_inputs[name]))
const constant = (values: Float32Array<ArrayBuffer>) => np.array(values, { dtype: np.float32, device: "wasm" })

/** -sum exp(lp - old) * advantage */
const inJax = JaxLoss.make((data: ReadonlyArray<Policy>, logprobs) => {
  const terms = logprobs.map((lp, i) =>
    np.sum(np.exp(lp.sub(constant(numbers(data[i]!, "logprobs")))).mul(constant(numbers(data[i]!, "advantages"))))
  )
  const loss = terms.reduce((sum, term) => sum.add(term)).neg()
  return [loss, { seen: np.array([data.length], { dtype: np.float32, device: "wasm" }).reshape([]) }]
})

const byHand: CustomLoss.CustomLoss<Policy> = (data, logprobs) => {
  let loss = 0
  const gradients = data.map((datum, i) => {
    const [old, advantages] = [numbers(datum, "logprobs"), numbers(datum, "advantages")]
    return logprobs[i]!.data.map((lp, j) => {
      const term = -Math.exp(lp - old[j]!) * advantages[j]!
      loss += term
      return term
    })
  })
  return { loss, gradients, metrics: { seen: data.length } }
}

const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number, what: string) => {
  assert.strictEqual(a.length, b.length, what)
  for (let i = 0; i < a.length; i++) assert.closeTo(a[i]!, b[i]!, tolerance, `${what} ${i}`)
}

describe("a custom loss", () => {
  it.scopedLive("trains like the built-in loss, with gradients by hand or from jax-js", () =>
    Effect.gen(function* () {
      const client = yield* ServiceClient.ServiceClient
      const train = (
        pass: "importance_sampling" | CustomLoss.CustomLoss<Policy, never> | typeof inJax
      ): Effect.Effect<{ loss: number; after: Array<number>; metrics: unknown }, unknown, never> =>
        Effect.scoped(
          Effect.gen(function* () {
            const training = yield* client.createLoraTrainingClient({ base_model: "test/tiny", rank: 4, seed: 3 })
            const outputs = []
            for (let step = 0; step < 3; step++) {
              const forward =
                typeof pass === "string"
                  ? yield* training.forwardBackward(data, pass)
                  : yield* training.forwardBackwardCustom(data, pass)
              const update = yield* training.optimStep({ learning_rate: 0.05 })
              const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
              outputs.push(output)
            }
            const { loss_fn_outputs } = yield* Effect.flatMap(training.forward(data, "importance_sampling"), Fiber.join)
            return {
              loss: outputs[2]!.metrics["loss:sum"]!,
              metrics: outputs[2]!.metrics["seen"],
              after: loss_fn_outputs.flatMap((item) => TensorData.toNumbers(item["logprobs"]!) as Array<number>)
            }
          })
        )
      const expected = yield* train("importance_sampling")
      const hand = yield* train(byHand)
      const jax = yield* train(inJax)
      close(hand.after, expected.after, 2e-4, "by hand")
      close(jax.after, expected.after, 2e-4, "in jax-js")
      assert.closeTo(hand.loss, expected.loss, 1e-3)
      assert.closeTo(jax.loss, expected.loss, 1e-3)
      assert.strictEqual(jax.metrics, 3)
    }).pipe(Effect.provide(service))
  )

  const logprobs = data.map((datum) => {
    const { length } = datum.loss_fn_inputs.logprobs.data
    return { data: new Float32Array(length).fill(-5), shape: [length] }
  })
  const call = <D extends CustomLoss.Target, E>(loss: CustomLoss.CustomLoss<D, E>, data: ReadonlyArray<D>) =>
    Effect.suspend(() => loss(data, logprobs) as Effect.Effect<CustomLoss.Result, E>)

  it.effect("has gradients in the shape of the logprobs", () =>
    Effect.gen(function* () {
      const square = JaxLoss.make<Policy>((_, [lp, ...rest]) => {
        for (const other of rest) other.dispose()
        return np.sum(lp!.ref.mul(lp!))
      })
      const { gradients, loss } = yield* call(square, data)
      assert.closeTo(loss, 100, 1e-4)
      close(gradients[0]!, [-10, -10, -10, -10], 1e-4, "2 lp")
      close(gradients[1]!, [0, 0, 0], 0, "unused logprobs have gradient 0")
    })
  )

  it.effect("fails with a reason if it throws or returns no scalar", () =>
    Effect.gen(function* () {
      const thrown = yield* Effect.either(
        call(
          JaxLoss.make<Policy>(() => {
            throw new Error("odd")
          }),
          data
        )
      )
      assert.include(Either.isLeft(thrown) ? thrown.left.message : "", "odd")
      const matrix = yield* Effect.either(
        call(
          JaxLoss.make<Policy>((_, [lp, ...rest]) => {
            for (const other of rest) other.dispose()
            return lp!
          }),
          data
        )
      )
      assert.isTrue(Either.isLeft(matrix))
    })
  )

  it.effect("releases all arrays", () =>
    Effect.gen(function* () {
      const big = data.map((datum) => ({ datum, shape: [64, 256] }))
      const many = big.map(({ shape }) => ({ data: new Float32Array(64 * 256).fill(-1), shape }))
      const loss = JaxLoss.make<Policy>((_, logprobs) =>
        logprobs.map((lp) => np.sum(lp.ref.mul(lp))).reduce((sum, term) => sum.add(term))
      )
      const round = Effect.suspend(() => loss(data, many) as Effect.Effect<CustomLoss.Result, unknown>)
      yield* Effect.replicateEffect(round, 5, { discard: true })
      const before = bytes()
      assert.isAbove(before, 0)
      yield* Effect.replicateEffect(round, 60, { discard: true })
      assert.strictEqual(bytes(), before, "60 rounds of 200 kB")
    })
  )
})
