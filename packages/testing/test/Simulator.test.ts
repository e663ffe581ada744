import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Fault from "@effect-tinker/testing/Fault"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as Weather from "@effect-tinker/testing/Weather"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, type Scope } from "effect"

const datum = Datum.fromPromptCompletion([1, 2], [3])

/** Runs a program on one training client, in virtual time. */
const run = <A, E>(
  options: Simulator.Options,
  program: (training: TrainingClient.TrainingClient, simulator: Simulator.Simulator) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.flatMap(
    Simulation.run(
      Effect.gen(function* () {
        const simulator = yield* Simulator.make({ engine: { vocabularySize: 16 }, ...options })
        const value = yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel })
          return yield* program(training, simulator)
        }).pipe(
          Effect.scoped,
          Effect.provide(
            ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://service.test" }).pipe(
              Layer.provide(simulator.layer)
            )
          )
        )
        return { value, applied: yield* simulator.applied, deliveries: yield* simulator.deliveries }
      }).pipe(Effect.scoped)
    ),
    ({ exit, left, millis }) => Effect.map(exit, (result) => ({ ...result, left, millis }))
  )

const step = (training: TrainingClient.TrainingClient) =>
  Effect.zipWith(
    training.forwardBackward([datum], "cross_entropy"),
    training.optimStep({ learning_rate: 0.1 }),
    (forward, update) => Effect.all([Fiber.join(forward), Fiber.join(update)])
  )

const steps = (count: number) => (training: TrainingClient.TrainingClient) =>
  Effect.repeatN(Effect.flatten(step(training)), count - 1)

const order = (applied: ReadonlyArray<Simulator.Applied>) => applied.map(({ seq_id, type }) => `${seq_id} ${type}`)
const threeSteps = [
  "0 CreateModel",
  "1 ForwardBackward",
  "2 OptimStep",
  "3 ForwardBackward",
  "4 OptimStep",
  "5 ForwardBackward",
  "6 OptimStep"
]

const passing: ReadonlyArray<readonly [string, Fault.Fault]> = [
  ["lost requests", Fault.on("optim_step").nth(2).loseRequest],
  ["lost responses", Fault.on("forward_backward").first(2).loseResponse],
  ["swallowed requests", Fault.on("forward_backward").nth(1).swallow],
  ["silence", Fault.on("optim_step").nth(1).silence],
  ["errors before the service handles the request", Fault.on("forward_backward", "optim_step").every(2).respond(503)],
  ["errors after the service has handled the request", Fault.on("forward_backward").nth(3).respondAfter(502)],
  ["cut bodies", Fault.on("optim_step").nth(3).cutBody],
  ["duplicates", Fault.on("forward_backward", "optim_step").duplicate("1 second")],
  ["delays", Fault.on("retrieve_future").nth(3).delay("10 seconds")],
  ["paused queues", Fault.on("retrieve_future").during(0, "1 minute").pause("paused_capacity", "a rack is down")],
  ["empty 400s", Fault.on("retrieve_future").nth(2).respond(400, { body: "" })]
]

describe("Simulator", () => {
  for (const [name, fault] of passing) {
    it.effect(`applies each step once, in order, despite ${name}`, () =>
      Effect.gen(function* () {
        const { applied, deliveries, left } = yield* run({ faults: [fault] }, steps(3))
        assert.deepStrictEqual(order(applied), threeSteps)
        assert.isTrue(deliveries.some((delivery) => delivery.fault === fault.action._tag))
        assert.deepStrictEqual(left, { fibers: [], timers: 0 })
      })
    )
  }

  it.effect("records which fault was applied to which request", () =>
    Effect.gen(function* () {
      const { deliveries } = yield* run({ faults: [Fault.on("optim_step").nth(1).respond(503)] }, steps(1))
      const sent = deliveries.filter(({ endpoint }) => endpoint === "optim_step")
      assert.deepStrictEqual(
        sent.map(({ fault, outcome, status }) => [fault, outcome, status]),
        [
          ["Respond", "responded", 503],
          [undefined, "responded", 200]
        ]
      )
    })
  )

  it.effect("expires results and ends sessions, and the program gets typed errors", () =>
    Effect.gen(function* () {
      const isOptim = (request: Fault.Request) => request.headers["x-tinker-request-type"] === "OptimStep"
      const expired = yield* run({ faults: [Fault.on("retrieve_future").where(isOptim).expire] }, (training) =>
        Effect.flatMap(training.optimStep(), Fiber.await)
      )
      assert.strictEqual(Exit.isFailure(expired.value) && expired.value.cause._tag, "Fail")
      assert.include(String(expired.value), "FutureExpired")
      assert.deepStrictEqual(order(expired.applied), ["0 CreateModel", "1 OptimStep"])

      const ended = yield* run({ faults: [Fault.on("forward_backward").nth(1).endSession] }, (training) =>
        Effect.flatMap(training.forwardBackward([datum], "cross_entropy"), Fiber.await)
      )
      assert.isTrue(Exit.isFailure(ended.value))
      assert.deepStrictEqual(order(ended.applied), ["0 CreateModel"])
    })
  )

  it.effect("garbles responses in JSON and protobuf", () =>
    Effect.gen(function* () {
      const garbled = yield* run({ faults: [Fault.on("retrieve_future").from(2).garble] }, (training) =>
        Effect.flatMap(step(training), Effect.exit)
      )
      assert.include(String(garbled.value), "DecodeError")
    })
  )

  it.effect("runs a forward pass and its optimizer step in one cycle, and the next pair in the next cycle", () =>
    Effect.gen(function* () {
      const { applied } = yield* run({ cycle: "10 seconds" }, (training) =>
        Effect.gen(function* () {
          const results = [yield* step(training), yield* step(training)]
          yield* Effect.all(results)
          yield* Fiber.join(yield* training.forwardBackward([datum], "cross_entropy"))
          yield* Fiber.join(yield* training.optimStep())
        })
      )
      assert.deepStrictEqual(
        applied.map(({ millis }) => millis),
        [0, 10_000, 10_000, 20_000, 20_000, 30_000, 30_000]
      )
    })
  )

  it.effect("records samples with their sampling session", () =>
    Effect.gen(function* () {
      const { applied } = yield* run({}, (training) =>
        Effect.flatMap(training.saveWeightsAndGetSamplingClient(), (sampling) =>
          sampling.sample(ModelInput.fromTokens([1]), { sampling_params: { max_tokens: 1 } })
        )
      )
      const sample = applied[applied.length - 1]!
      assert.strictEqual(sample.type, "Sample")
      assert.match(sample.sampling_session_id!, /:sample:0$/)
      assert.strictEqual(sample.model_id, undefined)
    })
  )

  it.effect("injects the same faults for the same seed, and others for another seed", () =>
    Effect.gen(function* () {
      const day = (seed: number) =>
        Effect.map(run({ seed, weather: Weather.badDay }, steps(4)), ({ deliveries }) => JSON.stringify(deliveries))
      assert.strictEqual(yield* day(3), yield* day(3))
      assert.notStrictEqual(yield* day(3), yield* day(4))
    })
  )

  it.effect("injects no faults after calm", () =>
    Effect.gen(function* () {
      const { deliveries } = yield* run({ faults: [Fault.on("optim_step").respond(503)] }, (training, simulator) =>
        Effect.andThen(simulator.calm, steps(2)(training))
      )
      assert.isTrue(deliveries.every(({ fault }) => fault === undefined))
    })
  )
})

describe("the end of the service's process", () => {
  it.effect("loses what is not saved, which the client is told, and the next process has the rest", () =>
    Effect.gen(function* () {
      const kill = Fault.on("optim_step").nth(4).kill({ down: "5 seconds" })
      const { applied, left, value } = yield* run({ faults: [kill] }, (training) =>
        Effect.gen(function* () {
          yield* steps(2)(training)
          const { path } = yield* Effect.flatMap(training.saveState("second"), Fiber.join)
          yield* steps(1)(training)
          const error = yield* Effect.flip(steps(1)(training))
          return { path, error, modelId: training.modelId }
        })
      )
      const { error, modelId, path } = value
      assert.strictEqual(error._tag, "ModelLost")
      assert.deepInclude(error, { modelId, lastSaved: path, stepsLost: 1 })
      assert.deepStrictEqual(left, { fibers: [], timers: 0 })
      // the process ended before the last step was committed or ran
      assert.deepStrictEqual(order(applied).slice(0, 8), [
        ...threeSteps.slice(0, 5),
        "5 SaveWeights",
        "6 ForwardBackward",
        "7 OptimStep"
      ])
    })
  )

  it.effect("makes requests in flight fail, also polls, and refuses connections until the next process runs", () =>
    Effect.gen(function* () {
      const faults = [Fault.on("retrieve_future").nth(2).kill({ after: "1 second", down: "1 hour" })]
      const { deliveries } = yield* run({ cycle: "10 seconds", faults }, (training, simulator) =>
        Effect.gen(function* () {
          const stepping = yield* Effect.fork(Effect.exit(steps(1)(training)))
          yield* Effect.sleep("30 minutes")
          const refused = yield* Effect.flip(simulator.client.get("http://service.test/api/v1/healthz"))
          assert.include(String(refused), "the service does not run")
          yield* Effect.sleep("31 minutes")
          assert.strictEqual((yield* simulator.client.get("http://service.test/api/v1/healthz")).status, 200)
          yield* Fiber.interrupt(stepping)
        }).pipe(Effect.orDie)
      )
      assert.isAbove(deliveries.filter(({ outcome }) => outcome === "failed").length, 1)
    })
  )
})
