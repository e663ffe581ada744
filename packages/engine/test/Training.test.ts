import type * as Engine from "@effect-tinker/server/Engine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as lora from "../src/internal/lora.ts"
import * as trainer from "../src/internal/trainer.ts"
import * as fixtures from "./utils/fixtures.ts"

const all = { train_attn: true, train_mlp: true, train_unembed: true }

const withZeroB = (arrays: Record<string, Float32Array>) =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, data]) => [name, name.includes("lora_B") ? new Float32Array(data.length) : data])
  )

const adapterOf = (arrays: Record<string, Float32Array>, rank: number, switches: typeof all = all): Engine.Adapter => ({
  base_model: "test",
  lora_config: { rank, ...switches },
  lora_alpha: lora.alpha,
  weights: Object.fromEntries(Object.entries(arrays).map(([name, data]) => [name, { shape: [], data }]))
})

const step0 = { learning_rate: 1, beta1: 0, beta2: 0, eps: 1e30, weight_decay: 0, grad_clip_norm: 0 }

/** The accumulated gradient: a step without momentum and with an enormous eps moves the weights by -gradient / eps. */
const gradientOf = (model: Engine.EngineModel) =>
  Effect.gen(function* () {
    yield* model.optimStep({ ...step0, beta1: 0 })
    const { first } = yield* model.optimizer
    return first
  })

for (const name of ["tiny-qwen3", "tiny-llama"]) {
  describe(name, () => {
    const fixture = fixtures.read<fixtures.Tiny>(`${name}.json`)

    it.scoped("losses, logprobs and gradients are those of the reference", () =>
      Effect.gen(function* () {
        const base = yield* fixtures.load(fixtures.path(name))
        for (const one of fixture.cases) {
          const model = yield* trainer.make(base, { rank: fixture.rank, seed: 0, ...one.switches })
          const chosen = Object.fromEntries(Object.entries(fixture.lora).filter(([name]) => name in one.grads))
          const arrays = one.zero_b ? withZeroB(fixtures.peft(chosen)) : fixtures.peft(chosen)
          yield* model.load(adapterOf(arrays, fixture.rank, one.switches), undefined)
          const data = fixture.data[one.data]!.map(fixtures.datum)
          const options = { data, loss_fn: one.loss_fn, loss_fn_config: one.config }
          const output = yield* model.forwardBackward(options)
          fixtures.near([output.metrics["loss:sum"]!], [one.loss], one.name)
          one.logprobs.forEach((expected, i) => {
            fixtures.near(
              output.loss_fn_outputs[i]!["logprobs"]!.data as Float32Array,
              fixtures.floats(expected),
              one.name
            )
          })
          const gradient = yield* gradientOf(model)
          for (const [weight, expected] of Object.entries(fixtures.peft(one.grads))) {
            fixtures.near(gradient[weight]!, expected, `${one.name} ${weight}`)
          }
        }
      })
    )
  })
}
