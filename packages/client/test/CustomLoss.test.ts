import * as Datum from "@effect-tinker/api/Datum"
import * as TensorData from "@effect-tinker/api/TensorData"
import type * as CustomLoss from "@effect-tinker/client/CustomLoss"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, type Scope, TestClock } from "effect"
import { failureOf } from "./utils/exits.ts"
import { connect, embedded, json } from "./utils/services.ts"

type Target = Datum.For<"cross_entropy">
const data = [
  Datum.fromPromptCompletion([1, 2], [3, 4]),
  Datum.fromPromptCompletion([7], [8]),
  Datum.fromPromptCompletion([5, 6], [7])
]

// a forward and a backward pass of two chunks each
const run = <A, E>(program: (training: TrainingClient.TrainingClient) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const http = yield* embedded.make({ "/client/config": json({ fwdbwd_max_chunk_len: 2 }) })
    const value = yield* Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      return yield* program(
        yield* service.createLoraTrainingClient({ base_model: embedded.baseModel, rank: 4, seed: 1 })
      )
    }).pipe(Effect.scoped, Effect.provide(connect(http)))
    /** the requests to the model, with their sequence numbers */
    const sent = (yield* http.requests)
      .filter(({ path }) => /^\/(forward_backward|optim_step|save_weights)/.test(path))
      .map(({ body, path }) => {
        const { forward_only, seq_id } = body as { seq_id: number; forward_only?: boolean }
        return [seq_id, forward_only === true ? "forward" : path.slice(1)] as const
      })
    return { value, sent }
  }).pipe(Effect.scoped)

const weightsOf = (datum: Target) => TensorData.toNumbers(datum.loss_fn_inputs.weights)

/** computes `cross_entropy` */
const crossEntropy: CustomLoss.CustomLoss<Target> = (data, logprobs) => {
  let loss = 0
  const gradients = data.map((datum, i) =>
    Float32Array.from(weightsOf(datum), (weight, j) => {
      loss -= Number(weight) * logprobs[i]!.data[j]!
      return -Number(weight)
    })
  )
  return { loss, gradients, metrics: { mine: 7 } }
}

const logprobsAfter = (training: TrainingClient.TrainingClient) =>
  Effect.gen(function* () {
    yield* Fiber.join(yield* training.optimStep({ learning_rate: 0.1 }))
    const output = yield* Fiber.join(yield* training.forward(data, "cross_entropy"))
    return output.loss_fn_outputs.map((item) => Array.from(item["logprobs"]!.data as Float32Array))
  })

describe("a custom loss", () => {
  it.scoped("has one place in the queue: operations behind it are sent and run after it", () =>
    Effect.gen(function* () {
      const { sent, value } = yield* run((training) =>
        Effect.gen(function* () {
          const own = yield* training.forwardBackwardCustom(data, (data, logprobs) =>
            Effect.delay(
              Effect.sync(() => crossEntropy(data, logprobs) as CustomLoss.Result),
              "30 seconds"
            )
          )
          const step = yield* training.optimStep({ learning_rate: 0.1 })
          const builtIn = yield* training.forwardBackward(data, "cross_entropy")
          assert.deepStrictEqual([own.seqIds, step.seqIds, builtIn.seqIds], [[1, 2, 3, 4], [5], [6, 7]])
          yield* TestClock.adjust("40 seconds")
          return yield* Fiber.join(own)
        })
      )
      assert.deepStrictEqual(sent, [
        [2, "forward"],
        [1, "forward"],
        [4, "forward_backward"],
        [3, "forward_backward"],
        [5, "optim_step"],
        [7, "forward_backward"],
        [6, "forward_backward"]
      ])
      assert.strictEqual(value.metrics["mine"], 7)
      assert.closeTo(value.metrics["loss:sum"]!, value.metrics["surrogate_loss:sum"]!, 1e-4)
    })
  )

  it.scoped("trains exactly like the built-in loss that it computes", () =>
    Effect.gen(function* () {
      const own = yield* run((training) =>
        Effect.andThen(Effect.flatten(training.forwardBackwardCustom(data, crossEntropy)), logprobsAfter(training))
      )
      const builtIn = yield* run((training) =>
        Effect.andThen(Effect.flatten(training.forwardBackward(data, "cross_entropy")), logprobsAfter(training))
      )
      assert.deepStrictEqual(own.value, builtIn.value)
    })
  )

  it.scoped("sends only targets and weights, and passes all inputs to the loss", () =>
    Effect.gen(function* () {
      const rich = data.map((datum) => ({
        ...datum,
        loss_fn_inputs: {
          target_tokens: datum.loss_fn_inputs.target_tokens,
          reward: TensorData.float32(weightsOf(datum).map(Number))
        }
      }))
      const { value } = yield* run((training) =>
        Effect.flatten(
          training.forwardBackwardCustom(rich, (data, logprobs) => {
            assert.strictEqual(data, rich)
            return { loss: 0, gradients: logprobs.map(({ data }) => new Float32Array(data.length)) }
          })
        )
      )
      assert.strictEqual(value.loss_fn_outputs.length, 3)
    })
  )

  it.scoped("runs with the services of its caller", () =>
    Effect.gen(function* () {
      const Scale = Context.GenericTag<number>("Scale")
      const { value } = yield* run((training) =>
        Effect.flatten(
          training
            .forwardBackwardCustom(data, (data, logprobs) =>
              Effect.map(Scale, (scale) => ({ ...(crossEntropy(data, logprobs) as CustomLoss.Result), loss: scale }))
            )
            .pipe(Effect.provideService(Scale, 42))
        )
      )
      assert.strictEqual(value.metrics["loss:sum"], 42)
    })
  )

  const returns =
    (result: CustomLoss.Result): CustomLoss.CustomLoss<Target> =>
    () =>
      result

  it.scoped(
    "leaves no gap in the sequence numbers and no gradient if it fails, dies, is interrupted or returns a bad result",
    () =>
      Effect.gen(function* () {
        const untouched = yield* run(logprobsAfter)
        const ends: ReadonlyArray<
          readonly [string, CustomLoss.CustomLoss<Target, string>, (exit: Exit.Exit<unknown, unknown>) => void]
        > = [
          ["fails", () => Effect.fail("no"), (exit) => assert.deepStrictEqual(exit, Exit.fail("no"))],
          [
            "throws",
            () => {
              throw new Error("odd")
            },
            (exit) => assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "odd")
          ],
          ["is interrupted", () => Effect.interrupt, (exit) => assert.include(failureOf(exit)?.message, "interrupted")],
          [
            "returns too few gradients",
            returns({ loss: 1, gradients: [[0, 0, 0]] }),
            (exit) => assert.include(failureOf(exit)?.message, "gradients has 1 items for 3 datums")
          ],
          [
            "returns another shape",
            returns({
              loss: 1,
              gradients: [
                [0, 0, 0],
                [0, 0],
                [0, 0]
              ]
            }),
            (exit) => assert.include(failureOf(exit)?.message, "gradients[1] has 2 numbers for 1 logprobs")
          ],
          [
            "returns NaN",
            returns({ loss: Number.NaN, gradients: [] }),
            (exit) => assert.strictEqual(failureOf(exit)?._tag, "LossFailed")
          ]
        ]
        for (const [name, loss, check] of ends) {
          const { sent, value } = yield* run((training) =>
            Effect.gen(function* () {
              const own = yield* training.forwardBackwardCustom(data, loss)
              const behind = yield* training.saveState("behind")
              const exit = yield* Fiber.await(own)
              yield* Fiber.join(behind)
              assert.deepStrictEqual([own.seqIds, behind.seqIds], [[1, 2], [3]], name)
              check(exit)
              return yield* logprobsAfter(training)
            })
          )
          assert.deepStrictEqual(
            sent.map(([seqId]) => seqId).toSorted((a, b) => a - b),
            [1, 2, 3, 4, 5, 6],
            name
          )
          assert.deepStrictEqual(value, untouched.value, name)
        }
      })
  )

  it.scoped("fails if it submits to its own client, where it would wait for itself", () =>
    Effect.gen(function* () {
      const { value } = yield* run((training) =>
        Effect.gen(function* () {
          const own = yield* training.forwardBackwardCustom(data, (data, logprobs) =>
            Effect.as(training.optimStep(), crossEntropy(data, logprobs) as CustomLoss.Result)
          )
          return [yield* Fiber.await(own), yield* Fiber.await(yield* training.optimStep())] as const
        })
      )
      const error = failureOf(value[0])
      assert.strictEqual(error?._tag, "InvalidInput")
      assert.include(error?.message, "inside a loss")
      assert.isTrue(Exit.isSuccess(value[1]))
    })
  )

  it.scoped("runs to its end although its future is interrupted", () =>
    Effect.gen(function* () {
      const { sent } = yield* run((training) =>
        Effect.gen(function* () {
          const own = yield* training.forwardBackwardCustom(data, (data, logprobs) =>
            Effect.delay(
              Effect.sync(() => crossEntropy(data, logprobs) as CustomLoss.Result),
              "10 seconds"
            )
          )
          yield* TestClock.adjust("5 seconds")
          yield* Fiber.interrupt(own)
          const step = yield* training.optimStep()
          yield* TestClock.adjust("10 seconds")
          yield* Fiber.join(step)
        })
      )
      assert.deepStrictEqual(
        sent.map(([seqId]) => seqId),
        [2, 1, 4, 3, 5]
      )
    })
  )
})
