import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Distillation from "../src/Distillation.ts"
import * as runs from "./utils/runs.ts"
import * as sampler from "./utils/sampler.ts"

describe("Distillation", () => {
  it.effect("rewards each sampled token by what the teacher thinks of it, behind a context that only it reads", () =>
    Effect.gen(function* () {
      const datum = Datum.fromSampled([1, 2], { tokens: [3, 4], logprobs: [-1, -2] }, 0.5)
      const read: Array<ReadonlyArray<number>> = []
      const client = {
        computeLogprobs: (input: ModelInput.ModelInput) =>
          Effect.sync(() => {
            const tokens = Array.from(ModelInput.toTokens(input))
            read.push(tokens)
            return Float32Array.from(tokens, (_, i) => (i === 0 ? Number.NaN : -i / 4))
          })
      }
      const mask = Float32Array.of(0, 1, 1)
      const shaped = yield* Distillation.onPolicy({ client, context: [8, 9] }, 2)([{ datum, mask }])
      assert.deepStrictEqual(read[0], [8, 9, 1, 2, 3, 4])
      // the teacher's logprobs of 3 and 4 are -1 and -1.25
      assert.deepStrictEqual(Array.from(shaped.added[0]!), [0, 0, 1.5])
      // each token answers for a quarter of what the next one has
      const discounted = yield* Distillation.onPolicy({ client, context: [8, 9] }, 2, { discount: 0.25 })([
        { datum, mask },
        { datum, mask: Float32Array.of(0, 0, 1) }
      ])
      assert.deepStrictEqual(
        discounted.added.map((added) => Array.from(added)),
        [
          [0, 0.375, 1.5],
          [0, 0, 1.5]
        ]
      )
      assert.deepStrictEqual(shaped.metrics, { teacher_kl: -0.375 })
    })
  )

  it.scoped("makes targets of the teacher's most likely tokens, at the positions that have weight", () =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const client = yield* service.createSamplingClient({ base_model: TestEngine.baseModel })
      const examples = [Datum.fromPromptCompletion([65, 66], [67, 68, 69])]
      const [taught] = yield* Distillation.topK(examples, { client, context: [70], k: 4, skip: 1 })
      const { target_tokens, weights } = taught!.loss_fn_inputs
      assert.deepStrictEqual(TensorData.shapeOf(target_tokens), [4, 4])
      const sums = [0, 1, 2, 3].map((row) =>
        TensorData.toNumbers(weights)
          .slice(row * 4, row * 4 + 4)
          .reduce((sum, weight) => sum + weight, 0)
      )
      // the prompt, then the position that is skipped, then two that are trained
      assert.deepStrictEqual(
        sums.map((sum) => Math.round(sum * 1e5) / 1e5),
        [0, 0, 1, 1]
      )
      assert.isUndefined(Datum.problem(taught!, "cross_entropy"))
    }).pipe(Effect.provide(runs.layer))
  )

  it.effect("teaches answers that end, without the context", () =>
    Effect.gen(function* () {
      const client = sampler.make(({ prompt }, i) => (i === 0 ? [prompt[1]!, 7] : [1, 2, 3, 4]))
      const options = { client, context: [9], samples: 2, sampling: { max_tokens: 3, seed: 5 } }
      const examples = yield* Distillation.answers([[10], [11]], options)
      assert.deepStrictEqual(
        client.asked.map(({ options, prompt }) => [prompt, options.sampling_params?.seed]),
        [
          [[9, 10], 5],
          [[9, 11], 6]
        ]
      )
      assert.deepStrictEqual(
        examples.map(({ loss_fn_inputs }) => TensorData.toNumbers(loss_fn_inputs.target_tokens)),
        [
          [10, 7],
          [11, 7]
        ]
      )
    })
  )
})
