import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "../../utils/client.ts"

const { createModel, createSession, ok, post, result } = client

describe("the endpoints of the group training", () => {
  it.scoped("reject the step of an optimizer that the model does not have, and consume its seq_id", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model_id = yield* createModel(yield* createSession)
        const step = { optimizer_params: { type: "dimuon", learning_rate: 0.1 }, model_id, seq_id: 1 }
        const rejected = yield* post("/optim_step", step)
        assert.strictEqual(rejected.status, 400)
        assert.include(rejected.body.detail, "dimuon")
        const malformed = yield* post("/optim_step", { adam_params: { beta1: "x" }, model_id, seq_id: 2 })
        assert.strictEqual(malformed.status, 422)
        assert.match(malformed.body.detail, /^adam_params\.beta1: /)
        yield* ok(client.optimStep(model_id, 3))
        yield* result(`${model_id}:3`)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("reject losses and inputs that the engine does not offer when the request arrives", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model_id = yield* createModel(yield* createSession)
        const datum = client.datum([1, 2, 3])
        const policy = Object.fromEntries(
          ["logprobs", "advantages", "sequence_ratio_mask"].map((name) => [name, { dtype: "float32", data: [0, 0, 0] }])
        )
        const withPolicy = {
          ...datum,
          loss_fn_inputs: { target_tokens: datum.loss_fn_inputs.target_tokens, ...policy }
        }
        const image = { type: "image", format: "png", data: "aGk=", expected_tokens: 3 }
        const withImage = { ...datum, model_input: { chunks: [image] } }
        const inputs = [
          [{ data: [withPolicy], loss_fn: "stable_reinforce_v9" }, /^loss_fn stable_reinforce_v9 is not on offer/],
          // a name that the client knows, and the engine does not
          [{ data: [withPolicy], loss_fn: "custom" }, /^loss_fn custom is not on offer; on offer: cross_entropy, /],
          [{ data: [datum, withImage], loss_fn: "cross_entropy" }, /^data\[1\]\.model_input\.chunks\[0\] is image/]
        ] as const
        for (const [i, [forward_backward_input, detail]] of inputs.entries()) {
          const rejected = yield* post("/forward_backward", { model_id, seq_id: i + 1, forward_backward_input })
          assert.strictEqual(rejected.status, 400)
          assert.match(rejected.body.detail, detail)
        }
        const forward = yield* post("/forward", { model_id, seq_id: 4, forward_input: inputs[2][0] })
        assert.strictEqual(forward.status, 400)
        yield* result((yield* ok(client.optimStep(model_id, 5))).request_id)
        const prompt = { chunks: [...client.datum([1]).model_input.chunks, image] }
        const sampled = yield* post("/asample", { base_model: TestEngine.baseModel, prompt, sampling_params: {} })
        assert.strictEqual(sampled.status, 400)
        assert.match(sampled.body.detail, /^prompt\.chunks\[1\] is image/)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("take weights of cross_entropy that are left out for ones", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model_id = yield* createModel(yield* createSession)
        const weighted = client.datum([1, 2, 3])
        const { weights: _, ...loss_fn_inputs } = weighted.loss_fn_inputs
        const losses = yield* Effect.forEach([weighted, { ...weighted, loss_fn_inputs }], (datum) =>
          Effect.map(
            client.run("/forward", { model_id, forward_input: client.input(datum) }),
            (output) => output.metrics["loss:sum"] as number
          )
        )
        assert.isAbove(losses[0]!, 0)
        assert.strictEqual(losses[1], losses[0])
      }).pipe(Effect.provide(layer))
    })
  )
})
