import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"

const batch = [Datum.fromPromptCompletion([1], [2])]

it.effect("a long run with faults has no more fibers at its end than at its start", () =>
  Effect.gen(function* () {
    const report = yield* Simulation.run(
      Effect.gen(function* () {
        const simulator = yield* Simulator.make({
          seed: 1,
          weather: { ...Weather.badDay, rate: 0.05 },
          engine: { vocabularySize: 16 },
          record: false
        })
        const context = yield* Layer.build(
          ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://service.test" }).pipe(
            Layer.provide(simulator.layer)
          )
        )
        const service = yield* Effect.provide(ServiceClient.ServiceClient, context)
        return yield* Simulation.counting((left) =>
          Effect.gen(function* () {
            const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel })
            const steps = (count: number) =>
              Effect.repeatN(
                Effect.gen(function* () {
                  const forward = yield* training.forwardBackward(batch, "cross_entropy")
                  const update = yield* training.optimStep({ learning_rate: 1e-3 })
                  yield* Effect.all([Fiber.join(forward), Fiber.join(update)])
                }),
                count - 1
              )
            const held = Effect.map(Effect.delay(left, 1), (fibers) => fibers.length)
            yield* steps(20)
            const before = yield* held
            yield* steps(100)
            return { before, after: yield* held }
          })
        )
      }).pipe(Effect.scoped)
    )
    const { after, before } = yield* report.exit
    assert.strictEqual(after, before)
    assert.deepStrictEqual(report.left, { fibers: [], timers: 0 })
  })
)
