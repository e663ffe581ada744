import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as trainer from "../../src/internal/training/trainer.ts"
import * as fixtures from "../utils/fixtures.ts"
import { trainAll } from "../utils/requests.ts"

const withZeroB = (arrays: Record<string, Float32Array>) =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, data]) => [name, name.includes("lora_B") ? new Float32Array(data.length) : data])
  )

const combinations = ["tiny-qwen3", "tiny-llama"].flatMap((name) =>
  fixtures.availableExecutors.map((executor) => [name, executor] as const)
)

for (const [name, executor] of combinations) {
  describe(`Training ${name} on ${executor}`, () => {
    const fixture = fixtures.read<fixtures.Tiny>(`${name}.json`)

    it.scoped("gives the losses, logprobs and gradients of the reference", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(fixtures.path(name), undefined, executor)
        for (const one of fixture.cases) {
          const model = yield* trainer.make(base, { rank: fixture.rank, seed: 0, ...one.switches })
          const chosen = Object.fromEntries(Object.entries(fixture.lora).filter(([name]) => name in one.grads))
          const arrays = one.zero_b ? withZeroB(fixtures.peftArrays(chosen)) : fixtures.peftArrays(chosen)
          yield* model.load(fixtures.makeAdapter(arrays, fixture.rank, one.switches), undefined)
          const data = fixture.data[one.data]!.map(fixtures.datum)
          const options = { data, loss_fn: one.loss_fn, loss_fn_config: one.config }
          const output = yield* model.forwardBackward(options)
          fixtures.assertNear([output.metrics["loss:sum"]!], [one.loss], one.name)
          one.logprobs.forEach((expected, i) => {
            const { data, shape } = output.loss_fn_outputs[i]!["logprobs"]!
            fixtures.assertNear(data as Float32Array, fixtures.decodeTensor(expected), one.name)
            assert.deepStrictEqual(shape, expected.shape)
          })
          const gradient = yield* fixtures.takeGradient(model)
          for (const [weight, expected] of Object.entries(fixtures.peftArrays(one.grads))) {
            fixtures.assertNear(gradient[weight]!, expected, `${one.name} ${weight}`)
          }
        }
      })
    )

    it.scoped("gives the optimizer steps of the reference", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(fixtures.path(name), undefined, executor)
        for (const one of fixture.adamw) {
          const model = yield* trainer.make(base, { rank: one.rank, seed: 0, ...trainAll })
          yield* model.load(fixtures.makeAdapter(fixtures.peftArrays(one.lora), one.rank), undefined)
          const data = fixture.data[one.data]!.map(fixtures.datum)
          for (const step of one.steps) {
            const output = yield* model.forwardBackward({ data, loss_fn: one.loss_fn, loss_fn_config: {} })
            const { metrics } = yield* model.optimStep(one.adam)
            fixtures.assertNear([output.metrics["loss:sum"]!], [step.loss], one.name, 1e-5)
            fixtures.assertNear([metrics!["unclipped_grad_l2:mean"]!], [step.grad_norm], one.name, 1e-3)
            // relative to the learning rate: Adam moves a weight by the sign of its gradient, even if that is noise
            const { weights } = yield* model.adapter
            for (const [weight, expected] of Object.entries(fixtures.peftArrays(step.lora))) {
              const off = weights[weight]!.data.map((value, i) => (value - expected[i]!) / one.adam.learning_rate)
              const square = off.reduce((sum, value) => sum + value * value, 0) / off.length
              assert.isBelow(Math.max(...off.map(Math.abs)), 1e-2, weight)
              assert.isBelow(Math.sqrt(square), 1e-3, weight)
            }
          }
        }
      })
    )
  })
}
