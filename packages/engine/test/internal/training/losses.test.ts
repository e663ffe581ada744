import * as Datum from "@effect-tinker/api/Datum"
import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as trainer from "../../../src/internal/training/trainer.ts"
import * as fixtures from "../../utils/fixtures.ts"
import { trainAll } from "../../utils/requests.ts"

// a direction of about the size of the weights
const directionOf = (start: Record<string, Float32Array>) =>
  Object.fromEntries(
    Object.entries(start).map(([name, data]) => [name, data.map((_, i) => 0.1 * Math.sin(i * 12.9898 + name.length))])
  )

/** The named inputs of a datum with one value everywhere. */
const filled = (one: fixtures.JsonDatum, constants: Readonly<Record<string, number>> = {}) =>
  Object.fromEntries(Object.entries(constants).map(([name, value]) => [name, one.tokens.map(() => value)]))

type Outputs = ReadonlyArray<ReadonlyArray<number>>

/** The derivative of a value of the logprobs along a direction, from the gradient and from finite differences. */
const derivatives = (
  options: Engine.PassOptions,
  valueOf: (logprobs: Outputs, at: Outputs, metrics: Record<string, number>) => number
) =>
  Effect.gen(function* () {
    const start = fixtures.peftArrays(fixtures.qwen.lora)
    const direction = directionOf(start)
    const model = yield* trainer.make(yield* fixtures.loadQwen(), { rank: fixtures.qwen.rank, seed: 0, ...trainAll })
    const load = (by: number) =>
      model.load(
        fixtures.makeAdapter(
          Object.fromEntries(
            Object.entries(start).map(([name, data]) => [name, data.map((v, i) => v + by * direction[name]![i]!)])
          ),
          fixtures.qwen.rank
        ),
        undefined
      )
    yield* load(0)
    const logprobsIn = (outputs: ReadonlyArray<Datum.Datum["loss_fn_inputs"]>) =>
      outputs.map(({ logprobs }) => Array.from(logprobs!.data as Float32Array))
    const at = logprobsIn((yield* model.forwardBackward(options)).loss_fn_outputs)
    let derivative = 0
    for (const [name, values] of Object.entries(yield* fixtures.takeGradient(model))) {
      for (let i = 0; i < values.length; i++) derivative += values[i]! * direction[name]![i]!
    }
    const valueAt = (by: number) =>
      Effect.andThen(
        load(by),
        Effect.map(model.forward(options), (output) => valueOf(logprobsIn(output.loss_fn_outputs), at, output.metrics))
      )
    const h = 0.01
    return { derivative, difference: ((yield* valueAt(h)) - (yield* valueAt(-h))) / (2 * h) }
  })

const assertClose = (found: { readonly derivative: number; readonly difference: number }, name: string) =>
  assert.approximately(found.difference, found.derivative, 0.01 * Math.abs(found.derivative) + 0.01, name)

/** The sum of a term over all targets of a group of the fixtures. */
const sumOf =
  (group: string, term: (p: number, at: number, input: (name: string) => number) => number) =>
  (logprobs: Outputs, at: Outputs): number =>
    fixtures.qwen.data[group]!.reduce(
      (sum, datum, d) =>
        logprobs[d]!.reduce((sum, p, i) => {
          const input = (name: string) => (datum as unknown as Record<string, ReadonlyArray<number>>)[name]![i]!
          return sum + term(p, at[d]![i]!, input)
        }, sum),
      0
    )

describe("A loss", () => {
  it.scoped("has the gradient of finite differences", () =>
    Effect.gen(function* () {
      const losses = [
        ["cross_entropy", "signed", {}],
        ["cross_entropy", "topk", {}],
        ["importance_sampling", "reinforced", {}],
        ["ppo", "reinforced", {}],
        ["ppo", "reinforced", { clip_low_threshold: 0.9, clip_high_threshold: 1.6 }],
        ["dro", "reinforced", { beta: 0.3 }],
        // without advantages, only the squared log-ratios are left
        ["stable_reinforce", "sampled", { kl_coeff: 0.5 }, { advantages: 0 }]
      ] as const
      for (const [loss_fn, group, loss_fn_config, constants] of losses) {
        const data = fixtures.qwen.data[group]!.map((one) => fixtures.datum({ ...one, ...filled(one, constants) }))
        const found = yield* derivatives({ data, loss_fn, loss_fn_config }, (_, __, metrics) => metrics["loss:sum"]!)
        assertClose(found, `${loss_fn} ${group}`)
      }
    })
  )

  it.scoped("has the gradient of finite differences with its ratios held, where they are not differentiated", () =>
    Effect.gen(function* () {
      const data = (group: string) => fixtures.qwen.data[group]!.map(fixtures.datum)
      const stable = yield* derivatives(
        { data: data("sampled"), loss_fn: "stable_reinforce", loss_fn_config: { kl_coeff: 0.2 } },
        sumOf("sampled", (p, at, input) => {
          const held = Math.min(Math.exp(at - input("logprobs")), 1)
          return input("sampled_mask") * (0.1 * (p - input("logprobs")) ** 2 - held * input("advantages") * p)
        })
      )
      assertClose(stable, "stable_reinforce")

      const thresholds = { clip_low_threshold: 0.01, clip_high_threshold: 100 }
      const ratios = fixtures.qwen.data["sequences"]!.map(() => 0)
      const gspo = yield* derivatives(
        { data: data("sequences"), loss_fn: "gspo", loss_fn_config: thresholds },
        (logprobs, at) => {
          fixtures.qwen.data["sequences"]!.forEach(({ logprobs: q }, d) => {
            const masked = at[d]!.map((p, i) => p - q![i]!).slice(2)
            ratios[d] = Math.exp(masked.reduce((sum, x) => sum + x, 0) / masked.length)
          })
          let sum = 0
          fixtures.qwen.data["sequences"]!.forEach(({ advantages }, d) => {
            logprobs[d]!.forEach((p, i) => {
              sum -= advantages![i]! * ratios[d]! * Math.exp(p - at[d]![i]!)
            })
          })
          return sum
        }
      )
      assertClose(gspo, "gspo")
    })
  )

  it.scoped("takes one ratio for a sequence in gspo, clipped by the sign of each advantage", () =>
    Effect.gen(function* () {
      const model = yield* trainer.make(yield* fixtures.loadQwen(), { rank: 4, seed: 1, ...trainAll })
      const target_tokens = [11, 12, 13, 14]
      const model_input = [10, 11, 12, 13]
      const pass = (loss_fn: string, inputs: Datum.LossFnInputs, loss_fn_config = {}) =>
        model.forward({
          data: [Datum.make({ model_input, loss_fn_inputs: { target_tokens, ...inputs } })],
          loss_fn,
          loss_fn_config
        })
      const lp = Array.from((yield* pass("cross_entropy", {})).loss_fn_outputs[0]!["logprobs"]!.data as Float32Array)
      // the ratios are 2 and 8 in the mask, whose geometric mean is 4; the last token has the same ratio
      const logprobs = [0, lp[1]! - Math.log(2), lp[2]! - Math.log(8), lp[3]! - Math.log(100)]
      const inputs = { logprobs, advantages: [0, 1, -1, 2], sequence_ratio_mask: [0, 1, 1, 0] }
      const losses = (config: Record<string, number>) =>
        Effect.map(pass("gspo", inputs, config), ({ loss_fn_outputs }) =>
          Array.from(loss_fn_outputs[0]!["elementwise_loss"]!.data as Float32Array)
        )
      const near = (found: ReadonlyArray<number>, expected: ReadonlyArray<number>) =>
        fixtures.assertNear(Float32Array.from(found), expected, "losses", 1e-5)
      near(yield* losses({ clip_high_threshold: 10 }), [0, -4, 4, -8])
      near(yield* losses({ clip_high_threshold: 1.5 }), [0, -1.5, 4, -3])
      near(yield* losses({}), [0, -1.0004, 4, -2.0008])
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
      const sequence_ratio_mask = [1, 1, 1, 0]
      for (const loss_fn of ["importance_sampling", "ppo", "cispo", "gspo"]) {
        const { loss_fn_outputs } = yield* forwardBackward(loss_fn, { sequence_ratio_mask })
        assert.strictEqual((loss_fn_outputs[0]!["elementwise_loss"]!.data as Float32Array)[3], 0)
        for (const values of Object.values(yield* fixtures.takeGradient(model))) {
          assert.isTrue(values.every(Number.isFinite), loss_fn)
        }
      }
    })
  )
})
