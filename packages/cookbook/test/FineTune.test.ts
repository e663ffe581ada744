import * as Datum from "@effect-tinker/api/Datum"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as FineTune from "../src/FineTune.ts"

const example = (i: number) => Datum.fromPromptCompletion([10 + i, 11 + i], [12 + i, 13 + i])
const examples = Array.from({ length: 8 }, (_, i) => example(i))
// the test engine learns only tokens that it has seen
const heldOut = [example(2)]

const layer = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://any.test" }).pipe(
  Layer.provide(TestServer.layer())
)

describe("FineTune", () => {
  it.scoped("reduces the loss on held-out examples, and ends with the same losses when it resumes", () =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const steps: Array<number> = []
      const saved: Array<readonly [step: number, path: string]> = []
      const options = {
        examples,
        heldOut,
        steps: 6,
        batchSize: 4,
        learningRate: 0.2,
        seed: 1,
        saveEvery: 3,
        onStep: ({ step }: FineTune.Step) => Effect.sync(() => void steps.push(step)),
        onSave: (step: number, path: string) => Effect.sync(() => void saved.push([step, path]))
      }
      const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4, seed: 1 })
      const complete = yield* FineTune.run({ ...options, training })
      assert.deepStrictEqual(steps, [1, 2, 3, 4, 5, 6])
      assert.isBelow(complete.heldOutAfter!, complete.heldOutBefore!)
      // the last step is not saved: the caller saves the final state
      assert.deepStrictEqual(
        saved.map(([step]) => step),
        [3]
      )
      const resumed = yield* service.createTrainingClientFromStateWithOptimizer(saved[0]![1])
      const rest = yield* FineTune.run({ ...options, training: resumed, from: 3 })
      assert.deepStrictEqual(rest.losses, complete.losses.slice(3))
      assert.strictEqual(rest.heldOutAfter, complete.heldOutAfter)
    }).pipe(Effect.provide(layer))
  )

  it("counts the weighted tokens of examples", () => {
    assert.strictEqual(FineTune.weightOf(examples), 16)
  })
})
