import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { withWarnings } from "@effect-tinker/testing/Logs"

const options = { base_model: TestEngine.baseModel, rank: 4 }
const data = [Datum.fromPromptCompletion([1, 2], [3])]

/** Runs a program against a simulated service. */
const against = <A, E>(
  server: Simulator.Options["server"],
  program: Effect.Effect<A, E, ServiceClient.ServiceClient>
) =>
  Effect.gen(function* () {
    const simulator = yield* Simulator.make({ server })
    const layer = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://tinker.test" })
    return yield* withWarnings(Effect.provide(program, Layer.provide(layer, simulator.layer)))
  })

/** A training client, and the path of a state that another one saved. */
const fresh = Effect.gen(function* () {
  const service = yield* ServiceClient.ServiceClient
  const first = yield* service.createLoraTrainingClient(options)
  const { path } = yield* Fiber.join(yield* first.saveState("a"))
  return { service, path, training: yield* service.createLoraTrainingClient(options) }
})

describe("loading a state", () => {
  it.scoped("is silent as the first operation, and warns once of a later one", () =>
    Effect.gen(function* () {
      const early = yield* against(
        { strictLoad: true },
        Effect.scoped(
          Effect.gen(function* () {
            const { path, training } = yield* fresh
            return yield* Fiber.join(yield* training.loadState(path))
          })
        )
      )
      assert.deepStrictEqual(early.lines, [])
      const late = yield* against(
        {},
        Effect.scoped(
          Effect.gen(function* () {
            const { path, training } = yield* fresh
            yield* Fiber.join(yield* training.forwardBackward(data, "cross_entropy"))
            yield* Fiber.join(yield* training.loadState(path))
            return yield* Fiber.join(yield* training.loadStateWithOptimizer(path))
          })
        )
      )
      assert.strictEqual(late.lines.length, 1)
      assert.include(late.lines[0], "loadState was called")
    })
  )

  it.scoped("fails after another operation, if the service is strict", () =>
    Effect.gen(function* () {
      const { value } = yield* against(
        { strictLoad: true },
        Effect.scoped(
          Effect.gen(function* () {
            const { path, training } = yield* fresh
            yield* Fiber.join(yield* training.forwardBackward(data, "cross_entropy"))
            return yield* Effect.flip(Effect.flatMap(training.loadState(path), Fiber.join))
          })
        )
      )
      assert.include(value.message, "LoadWeights is not permitted with seq_id 2")
    })
  )
})

describe("a sampling client", () => {
  it.scoped("scores a prompt of exactly the context length", () =>
    Effect.gen(function* () {
      const prompt = ModelInput.fromTokens(Array.from({ length: TestEngine.maxContextLength }, (_, i) => i % 200))
      const { value } = yield* against(
        {},
        Effect.scoped(
          Effect.gen(function* () {
            const service = yield* ServiceClient.ServiceClient
            const sampling = yield* service.createSamplingClient({ base_model: TestEngine.baseModel })
            return yield* sampling.computeLogprobs(prompt)
          })
        )
      )
      assert.strictEqual(value.length, TestEngine.maxContextLength)
    })
  )
})
