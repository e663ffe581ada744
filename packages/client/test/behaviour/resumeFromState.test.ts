import * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { connect, embedded, json, scripted } from "../utils/services.ts"

const data = [Datum.fromPromptCompletion([1, 2], [3, 4]), Datum.fromPromptCompletion([5], [6, 7])]

const step = (training: TrainingClient.TrainingClient) =>
  Effect.gen(function* () {
    const forward = yield* training.forwardBackward(data, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    const [output] = yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
    return output.loss_fn_outputs.map((tensors) => TensorData.toNumbers(tensors["logprobs"]!))
  })

const steps = (training: TrainingClient.TrainingClient, count: number) =>
  Effect.all(Array.from({ length: count }, () => step(training)))

const inSession = <A, E, R>(program: (service: ServiceClient.Service) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const http = yield* embedded.make()
    return yield* Effect.flatMap(ServiceClient.ServiceClient, program).pipe(
      Effect.scoped,
      Effect.provide(connect(http))
    )
  }).pipe(Effect.scoped)

describe("training from a saved state", () => {
  it.effect("continues bit for bit like a run that was never interrupted, if the optimizer is loaded", () =>
    inSession((service) =>
      Effect.gen(function* () {
        const whole = yield* service.createLoraTrainingClient({ base_model: embedded.baseModel, rank: 4, seed: 1 })
        yield* steps(whole, 2)
        const saved = yield* Fiber.join(yield* whole.saveState("halfway"))
        const expected = yield* steps(whole, 3)
        const resumed = yield* service.createTrainingClientFromStateWithOptimizer(saved.path)
        assert.notStrictEqual(resumed.modelId, whole.modelId)
        assert.deepStrictEqual(yield* steps(resumed, 3), expected)
        const fresh = yield* service.createTrainingClientFromState(saved.path)
        const [first, second] = yield* steps(fresh, 2)
        assert.deepStrictEqual(first, expected[0], "the weights are the same")
        assert.notDeepEqual(second, expected[1], "the optimizer is new")
      })
    )
  )

  it.effect("rejects a path that is not a training state, and reports a state that does not exist", () =>
    inSession((service) =>
      Effect.gen(function* () {
        const invalid = yield* Effect.flip(service.createTrainingClientFromState("tinker://run/sampler_weights/a"))
        assert.strictEqual(invalid._tag, "InvalidInput")
        const missing = yield* Effect.flip(service.createTrainingClientFromState("tinker://run/weights/none"))
        assert.strictEqual(missing._tag, "NotFound")
      })
    )
  )

  it.effect("creates an adapter of the shape that the service reports, and loads as the first operation", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/weights_info": json({ base_model: "base", is_lora: true, lora_rank: 8, train_mlp: false }),
        "/load_weights": json({ request_id: "LoadWeights" })
      })
      yield* Effect.flatMap(ServiceClient.ServiceClient, (service) =>
        service.createTrainingClientFromStateWithOptimizer("tinker://run/weights/a")
      ).pipe(Effect.scoped, Effect.provide(connect(http)))
      const [model] = yield* http.requestsTo("/create_model")
      assert.deepInclude(model!.body, {
        base_model: "base",
        lora_config: { rank: 8, train_attn: true, train_mlp: false, train_unembed: true }
      })
      const [load] = yield* http.requestsTo("/load_weights")
      assert.deepStrictEqual(load!.body, {
        model_id: "model-1",
        path: "tinker://run/weights/a",
        optimizer: true,
        seq_id: 1,
        type: "load_weights"
      })
    }).pipe(Effect.scoped)
  )
})
