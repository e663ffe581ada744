import * as Training from "@effect-tinker/api/Training"
import * as Engine from "@effect-tinker/server/Engine"
import type * as TestEngine from "@effect-tinker/testing/TestEngine"
import type * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as client from "../../utils/client.ts"

/** A service whose engine fails the passes with these numbers, from 0. */
const failing = (...failed: ReadonlyArray<number>) => {
  let passes = 0
  const before = ({ name }: TestEngine.Operation) =>
    name === "forwardBackward" && failed.includes(passes++)
      ? new Engine.EngineError({ reason: "out of memory", category: "server" })
      : Effect.void
  return Effect.map(client.start({}, { before }), ({ layer }) => layer)
}

const newModel = Effect.flatMap(client.createSession, (session) => client.createModel(session))

const forward = (model_id: string, seq_id: number) =>
  Effect.map(
    client.run("/forward", { forward_input: client.input(client.datum([1, 2, 3])), model_id, seq_id }),
    (output) => output.metrics["loss:sum"] as number
  )

const outcomeOf = (submitted: ReturnType<typeof client.optimStep>) =>
  Effect.flatMap(client.ok(submitted), ({ request_id }) => client.result(request_id))

/** The passes 1 and 2 of a step, and the outcome of the step behind them. */
const passesAndStep = (model: string) =>
  Effect.gen(function* () {
    yield* outcomeOf(client.forwardBackward(model, 1))
    yield* outcomeOf(client.forwardBackward(model, 2))
    return yield* outcomeOf(client.optimStep(model, 3))
  })

describe("a pass that fails when it runs", () => {
  it.scoped("takes the step behind it along, with the gradient of the other passes; the next step is whole", () =>
    Effect.gen(function* () {
      const layer = yield* failing(1)
      yield* Effect.gen(function* () {
        const model = yield* newModel
        const step = yield* passesAndStep(model)
        assert.strictEqual(step.category, "user")
        assert.include(step.error, "no step was taken: forward_backward with seq_id 2 failed")
        assert.include(step.error, "out of memory")
        const before = yield* forward(model, 4)
        // nothing is left of the gradient of the first pass
        const empty = yield* outcomeOf(client.optimStep(model, 5))
        assert.deepStrictEqual(empty.metrics, { "grad_norm:mean": 0 })
        assert.strictEqual(yield* forward(model, 6), before)
        yield* outcomeOf(client.forwardBackward(model, 7))
        yield* outcomeOf(client.optimStep(model, 8))
        assert.isBelow(yield* forward(model, 9), before)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("does not take a step along whose client names the pass as known to have failed", () =>
    Effect.gen(function* () {
      const layer = yield* failing(0)
      yield* Effect.gen(function* () {
        const model = yield* newModel
        yield* outcomeOf(client.forwardBackward(model, 1))
        const forward_backward_input = client.input(client.datum([1, 2, 3]))
        const body = { forward_backward_input, model_id: model, seq_id: 2 }
        yield* outcomeOf(client.post("/forward_backward", body, { [Training.refusedSeqIdsHeader]: "1" }))
        const step = yield* outcomeOf(client.optimStep(model, 3))
        assert.isAbove(step.metrics["grad_norm:mean"], 0)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("a pass that is lost behind a seq_id that did not arrive", () => {
  /** A model whose pass 1 ran, and whose `seq_id` 2 never came. */
  const withGap = <A, E>(
    program: (model: string) => Effect.Effect<A, E, HttpClient.HttpClient>,
    engine: TestEngine.Options = {}
  ) =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({ gapTimeout: "10 seconds" }, engine)
      yield* Effect.gen(function* () {
        const model = yield* newModel
        yield* outcomeOf(client.forwardBackward(model, 1))
        yield* program(model)
      }).pipe(Effect.provide(layer))
    })

  /** The outcome of an operation whose wait for the missing `seq_id` ends. */
  const lost = (submitted: ReturnType<typeof client.optimStep>) =>
    Effect.gen(function* () {
      const { request_id } = yield* client.ok(submitted)
      yield* TestClock.adjust("11 seconds")
      const outcome = yield* client.result(request_id)
      assert.include(outcome.error, "seq_id 2 did not arrive within 10 s")
    })

  it.scoped("takes the next step along, with the gradient of the passes that ran", () =>
    withGap((model) =>
      Effect.gen(function* () {
        yield* lost(client.forwardBackward(model, 3))
        const step = yield* outcomeOf(client.optimStep(model, 4))
        assert.strictEqual(step.category, "user")
        assert.include(step.error, "no step was taken: seq_id 2 did not arrive, and may have been a forward_backward")
        const empty = yield* outcomeOf(client.optimStep(model, 5))
        assert.deepStrictEqual(empty.metrics, { "grad_norm:mean": 0 })
      })
    )
  )

  it.scoped("does so as well where the client names the missing seq_id, but not the pass behind it", () =>
    withGap((model) =>
      Effect.gen(function* () {
        yield* lost(client.forwardBackward(model, 3))
        const adam_params = { learning_rate: 0.1 }
        const headers = { [Training.refusedSeqIdsHeader]: "2" }
        const step = yield* outcomeOf(client.post("/optim_step", { adam_params, model_id: model, seq_id: 4 }, headers))
        assert.include(step.error, "no step was taken: forward_backward with seq_id 3 failed")
      })
    )
  )

  it.scoped("with the step behind it leaves no gradient to the next step", () =>
    withGap((model) =>
      Effect.gen(function* () {
        const pass = yield* client.ok(client.forwardBackward(model, 3))
        yield* lost(client.optimStep(model, 4))
        assert.include((yield* client.result(pass.request_id)).error, "did not arrive")
        yield* outcomeOf(client.forwardBackward(model, 5, [client.datum([7, 8, 9])]))
        const step = yield* outcomeOf(client.optimStep(model, 6))
        const other = yield* newModel
        yield* outcomeOf(client.forwardBackward(other, 1, [client.datum([7, 8, 9])]))
        const alone = yield* outcomeOf(client.optimStep(other, 2))
        assert.isAbove(alone.metrics["grad_norm:mean"], 0)
        assert.deepStrictEqual(step.metrics, alone.metrics)
      })
    )
  )
})

describe("a step that fails when it runs", () => {
  const failingSteps = (...failed: ReadonlyArray<number>) => {
    let steps = 0
    const before = ({ name }: TestEngine.Operation) =>
      name === "optimStep" && failed.includes(steps++)
        ? new Engine.EngineError({ reason: "out of memory", category: "server" })
        : Effect.void
    return Effect.map(client.start({}, { before }), ({ layer }) => layer)
  }

  it.scoped("gives its gradient to no other step: the next one is whole, or fails without a pass", () =>
    Effect.gen(function* () {
      const layer = yield* failingSteps(0, 1)
      yield* Effect.gen(function* () {
        const model = yield* newModel
        yield* outcomeOf(client.forwardBackward(model, 1))
        assert.include((yield* outcomeOf(client.optimStep(model, 2))).error, "out of memory")
        yield* outcomeOf(client.forwardBackward(model, 3, [client.datum([7, 8, 9])]))
        assert.include((yield* outcomeOf(client.optimStep(model, 4))).error, "out of memory")
        const again = yield* outcomeOf(client.optimStep(model, 5))
        assert.include(again.error, "no step was taken: optim_step with seq_id 4 failed, and its gradient was dropped")
        yield* outcomeOf(client.forwardBackward(model, 6))
        assert.isAbove((yield* outcomeOf(client.optimStep(model, 7))).metrics["grad_norm:mean"], 0)
      }).pipe(Effect.provide(layer))
    })
  )
})

describe("a pass that the engine cannot run", () => {
  it.scoped("is rejected when it arrives, with the path of the token", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start()
      yield* Effect.gen(function* () {
        const model = yield* newModel
        const { body, status } = yield* client.forwardBackward(model, 1, [client.datum([1, 2, 256])])
        assert.strictEqual(status, 400)
        assert.include(
          JSON.stringify(body),
          "data[0].loss_fn_inputs.target_tokens[1] is 256, but the vocabulary has 256 tokens"
        )
      }).pipe(Effect.provide(layer))
    })
  )
})
