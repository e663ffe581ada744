import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { connect, embedded, scripted } from "../utils/services.ts"

describe("the losses of other services", () => {
  it.scoped("are sent by any name, with any config and any further inputs", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make()
      const datum = Datum.make({
        model_input: [1, 2],
        loss_fn_inputs: { target_tokens: [2, 3], advantages: [1, 1], returns: [0.5, 0.25] }
      })
      const losses = ["grpo", "dapo", "dppo", "ppo_critic", "a_loss_of_tomorrow"]
      yield* Effect.gen(function* () {
        const client = yield* ServiceClient.ServiceClient
        for (const loss of losses) {
          const training = yield* client.createLoraTrainingClient({ base_model: "base", rank: 4 })
          yield* Fiber.join(yield* training.forwardBackward([datum], loss, { delta_low: 0.5, kind: "seq" }))
        }
      }).pipe(Effect.provide(connect(http)))
      const sent = yield* Effect.forEach(yield* http.requestsTo("/forward_backward"), ({ bytes }) =>
        ProtobufCodec.decodeForwardBackwardRequest(bytes!)
      )
      assert.deepStrictEqual(
        sent.map(({ forward_backward_input }) => forward_backward_input.loss_fn),
        losses
      )
      for (const { forward_backward_input } of sent) {
        assert.deepStrictEqual({ ...forward_backward_input.loss_fn_config }, { delta_low: 0.5, kind: "seq" })
        assert.deepStrictEqual(
          Array.from(forward_backward_input.data[0]!.loss_fn_inputs["returns"]!.data, Number),
          [0.5, 0.25]
        )
      }
    })
  )
})

describe("stable_reinforce", () => {
  it.scoped("trains on samples that were recorded, by their sequence_id", () =>
    Effect.gen(function* () {
      const http = yield* embedded.make()
      yield* Effect.gen(function* () {
        const client = yield* ServiceClient.ServiceClient
        const training = yield* client.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
        const sampling = yield* training.saveWeightsAndGetSamplingClient()
        const prompt = [1, 2, 3]
        const { sequences } = yield* sampling.sample(ModelInput.fromTokens(prompt), {
          num_samples: 2,
          sampling_params: { max_tokens: 4, seed: 1 },
          record_stability_info: true
        })
        const data = sequences.map(({ sequence_id, tokens }, i) => {
          const own = { sequence_id: sequence_id!, offset: 0 }
          const { length } = tokens
          const plain = Datum.make({
            model_input: [...prompt, ...tokens.slice(0, -1)],
            loss_fn_inputs: {
              target_tokens: [...prompt.slice(1), ...tokens],
              advantages: [0, 0, ...Array.from(tokens, () => (i === 0 ? 1 : -1))]
            }
          })
          return Datum.withProvenance(plain, {
            model_input: [
              { ...own, type: "prompt", length: 3 },
              { ...own, type: "sampled", length: length - 1 }
            ],
            loss_fn_inputs: [
              { ...own, type: "prompt", offset: 1, length: 2 },
              { ...own, type: "sampled", length }
            ]
          })
        })
        const pass = yield* training.forwardBackward(data, "stable_reinforce", { kl_coeff: 0.1 })
        const sums = sequences.map(({ logprobs }) => logprobs!.reduce((sum, value) => sum + value, 0))
        // with the weights of the samples every ratio is 1
        assert.approximately((yield* Fiber.join(pass)).metrics["loss:sum"]!, sums[1]! - sums[0]!, 1e-3)
        const unknown = yield* Effect.flip(Effect.flatMap(training.forwardBackward(data, "grpo"), Fiber.join))
        assert.include(unknown.message, "loss_fn grpo is not on offer")
      }).pipe(Effect.provide(connect(http)))
    })
  )
})
