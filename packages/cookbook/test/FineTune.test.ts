import * as Datum from "@effect-tinker/api/Datum"
import type * as Training from "@effect-tinker/api/Training"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as FineTune from "../src/FineTune.ts"
import { withWarnings } from "@effect-tinker/testing/Logs"

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

  /** A client whose passes return outputs that this makes of the batch. */
  const reporting = (output: (batch: ReadonlyArray<FineTune.Example>) => Partial<Training.ForwardBackwardOutput>) =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, rank: 4 })
      const scope = yield* Effect.scope
      const changed =
        (pass: typeof training.forward): typeof training.forward =>
        (data, lossFn) =>
          Effect.flatMap(pass(data, lossFn), (future) =>
            TinkerFuture.make({
              method: future.method,
              seqIds: () => future.seqIds,
              scope,
              run: Effect.map(Fiber.join(future), (real) => ({ ...real, metrics: {}, ...output(data as never) }))
            })
          )
      return { ...training, forward: changed(training.forward), forwardBackward: changed(training.forwardBackward) }
    })

  const float32 = (values: ReadonlyArray<number>) => ({ dtype: "float32" as const, data: Float32Array.from(values) })

  const runWith = (training: TrainingClient.TrainingClient) =>
    withWarnings(
      FineTune.run({
        training,
        examples,
        heldOut,
        steps: 2,
        batchSize: 4,
        learningRate: 0.2,
        seed: 1,
        onStep: () => Effect.void
      })
    )

  it.scoped("computes the losses that a service does not report", () =>
    Effect.gen(function* () {
      const elementwise = yield* reporting((batch) => ({
        loss_fn_outputs: batch.map(() => ({ elementwise_loss: float32([0, 0.5, 1.5]) }))
      }))
      const { lines, value } = yield* runWith(elementwise)
      // each example has two weighted tokens
      assert.deepStrictEqual(value, { losses: [1, 1], heldOutBefore: 1, heldOutAfter: 1 })
      assert.deepStrictEqual(lines, [])
      const logprobs = yield* reporting((batch) => ({
        loss_fn_outputs: batch.map(() => ({ logprobs: float32([Number.NaN, -2, -4]) })),
        // 0 is what a service may report for a pass without gradients
        metrics: { "loss:sum": 0 }
      }))
      assert.deepStrictEqual((yield* runWith(logprobs)).value.losses, [3, 3])
    }).pipe(Effect.provide(layer))
  )

  it.scoped("says so once where a loss cannot be known, and where it is not finite", () =>
    Effect.gen(function* () {
      const nothing = yield* reporting((batch) => ({ loss_fn_outputs: batch.map(() => ({})) }))
      const silent = yield* runWith(nothing)
      assert.deepStrictEqual(silent.value, {
        losses: [undefined, undefined],
        heldOutBefore: undefined,
        heldOutAfter: undefined
      })
      assert.strictEqual(silent.lines.filter((line) => line.includes("the loss of step")).length, 1)
      assert.include(silent.lines[0], "reports no loss:sum, elementwise_loss or logprobs")
      const diverged = yield* reporting(() => ({ loss_fn_outputs: [], metrics: { "loss:sum": Number.NaN } }))
      const { lines, value } = yield* runWith(diverged)
      assert.deepStrictEqual(value.losses, [undefined, undefined])
      assert.include(lines[0], "is not a finite number")
    }).pipe(Effect.provide(layer))
  )

  it("has no loss per token for examples without weight", () => {
    const [{ loss_fn_inputs, model_input }] = [example(0)]
    const weights = float32([0, 0, 0])
    const unweighted = [{ model_input, loss_fn_inputs: { ...loss_fn_inputs, weights } }]
    const output = { loss_fn_output_type: "", loss_fn_outputs: [], metrics: { "loss:sum": 0 } }
    assert.isUndefined(FineTune.lossPerToken(output, unweighted))
  })

  it("counts the weighted tokens of examples", () => {
    assert.strictEqual(FineTune.weightOf(examples), 16)
  })
})
