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
