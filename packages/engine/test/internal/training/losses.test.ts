import * as Datum from "@effect-tinker/api/Datum"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { trainAll } from "../../utils/requests.ts"

describe("A loss", () => {
  it.scoped("has the gradient of finite differences", () =>
    Effect.gen(function* () {
      const base = yield* fixtures.loadQwen()
      const start = fixtures.peftArrays(fixtures.qwen.lora)
      const losses = [
        ["cross_entropy", "signed", {}],
        ["cross_entropy", "topk", {}],
        ["importance_sampling", "reinforced", {}],
        ["ppo", "reinforced", {}],
        ["ppo", "reinforced", { clip_low_threshold: 0.9, clip_high_threshold: 1.6 }],
        ["dro", "reinforced", { beta: 0.3 }]
      ] as const
      const model = yield* trainer.make(base, { rank: fixtures.qwen.rank, seed: 0, ...trainAll })
      const load = (arrays: Record<string, Float32Array>) =>
        model.load(fixtures.makeAdapter(arrays, fixtures.qwen.rank), undefined)
      // a direction of about the size of the weights
      const direction = Object.fromEntries(
        Object.entries(start).map(([name, data]) => [
          name,
          data.map((_, i) => 0.1 * Math.sin(i * 12.9898 + name.length))
        ])
      )
      const moved = (by: number) =>
        Object.fromEntries(
          Object.entries(start).map(([name, data]) => [name, data.map((v, i) => v + by * direction[name]![i]!)])
        )
      for (const [loss_fn, group, loss_fn_config] of losses) {
        const options = { data: fixtures.qwen.data[group]!.map(fixtures.datum), loss_fn, loss_fn_config }
        const lossAt = (by: number) =>
          Effect.andThen(
            load(moved(by)),
            Effect.map(model.forward(options), ({ metrics }) => metrics["loss:sum"]!)
          )
        yield* load(start)
        yield* model.forwardBackward(options)
        const gradient = yield* fixtures.takeGradient(model)
        let derivative = 0
        for (const [name, values] of Object.entries(gradient)) {
          for (let i = 0; i < values.length; i++) derivative += values[i]! * direction[name]![i]!
        }
        const h = 0.01
        const difference = ((yield* lossAt(h)) - (yield* lossAt(-h))) / (2 * h)
        assert.approximately(difference, derivative, 0.01 * Math.abs(derivative) + 0.01, `${loss_fn} ${group}`)
      }
    })
  )

  it.scoped("takes thresholds per token, and is 0 where the advantage is 0", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* fixtures.loadQwen(), { rank: 4, seed: 1, ...trainAll })
      const inputs = {
        target_tokens: [11, 12, 13, 14],
        // the last ratio overflows
        logprobs: [-7, -7, -7, -1000],
        advantages: [1, 1, 1, 0]
      }
      const forwardBackward = (loss_fn: string, more: Datum.LossFnInputs = {}) =>
        model.forwardBackward({
          data: [Datum.make({ model_input: [10, 11, 12, 13], loss_fn_inputs: { ...inputs, ...more } })],
          loss_fn,
          loss_fn_config: {}
        })
      const { loss_fn_outputs } = yield* forwardBackward("ppo", {
        clip_low_threshold: [0, 0, 0, 0],
        clip_high_threshold: [1.5, 2, 2.5, 3]
      })
      fixtures.assertNear(loss_fn_outputs[0]!["elementwise_loss"]!.data as Float32Array, [-1.5, -2, -2.5, 0])
      for (const loss_fn of ["importance_sampling", "ppo", "cispo"]) {
        const { loss_fn_outputs } = yield* forwardBackward(loss_fn)
        assert.strictEqual((loss_fn_outputs[0]!["elementwise_loss"]!.data as Float32Array)[3], 0)
        for (const values of Object.values(yield* fixtures.takeGradient(model))) {
          assert.isTrue(values.every(Number.isFinite), loss_fn)
        }
      }
    })
  )
})
