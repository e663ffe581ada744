import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as Fault from "@effect-tinker/testing/Fault"
import * as Simulation from "@effect-tinker/testing/Simulation"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, type Scope } from "effect"
import { over, ways } from "../utils/services.ts"
import { failureOf } from "../utils/exits.ts"
import { range } from "../utils/range.ts"

const prompt = ModelInput.fromTokens([1, 2, 3])
const inTime = <A, E>(program: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const { ended, exit, left, millis } = yield* Simulation.run(Effect.scoped(program))
    assert.strictEqual(ended, "done")
    assert.deepStrictEqual(left, { fibers: [], timers: 0 })
    return { value: yield* exit, millis }
  })

const simulate = (options: Simulator.Options = {}) => Simulator.make({ engine: { vocabularySize: 16 }, ...options })

const sample = (client: SamplingClient.SamplingClient, seed: number) =>
  client.sample(prompt, { sampling_params: { max_tokens: 4, seed } })

const sampleMany = (client: SamplingClient.SamplingClient, count: number) =>
  Effect.forEach(range(count), (seed) => sample(client, seed), { concurrency: "unbounded" })

const sent = (simulator: Simulator.Simulator) =>
  Effect.map(simulator.deliveries, (all) => all.filter(({ endpoint }) => endpoint === "asample"))

const seqIds = (simulator: Simulator.Simulator) =>
  Effect.map(simulator.applied, (all) =>
    all
      .filter(({ type }) => type === "Sample")
      .map(({ seq_id }) => seq_id)
      .sort((a, b) => a - b)
  )

describe.each(ways)("over %s", (way) => {
  /** A sampling client with a new session. */
  const connect = (simulator: Simulator.Simulator, key = "tml-test") =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        ServiceClient.layer({ apiKey: Redacted.make(key), baseUrl: `http://${key}.test` }).pipe(
          Layer.provide(over(way, simulator.layer))
        )
      )
      const service = yield* Effect.provide(ServiceClient.ServiceClient, context)
      return yield* service.createSamplingClient({ base_model: TestEngine.baseModel })
    })

  describe("sampling from a service that is short of capacity", () => {
    for (const count of [20, 50]) {
      it.effect(`returns each of ${count} concurrent samples once although one was rate limited`, () =>
        inTime(
          Effect.gen(function* () {
            const simulator = yield* simulate({ faults: [Fault.on("asample").nth(1).respond(429)] })
            const client = yield* connect(simulator)
            const first = yield* Effect.fork(sample(client, 0))
            yield* Effect.sleep("10 millis")
            const rest = yield* sampleMany(client, count)
            yield* Fiber.join(first)
            assert.strictEqual(rest.length, count)
            assert.deepStrictEqual(yield* seqIds(simulator), range(count + 1))
            const [refused, ...others] = yield* sent(simulator)
            assert.strictEqual(refused!.status, 429)
            assert.strictEqual(others.length, count + 1, "only the rate-limited request was sent again")
            for (const { millis } of others) assert.isAtLeast(millis - refused!.millis, 1000, "all samples wait")
          })
        )
      )

      it.effect(`returns ${count} concurrent samples that are all rate limited at first`, () =>
        inTime(
          Effect.gen(function* () {
            const simulator = yield* simulate({
              faults: [Fault.on("asample").first(count).respond(429, { retryAfter: "3 seconds" })]
            })
            const client = yield* connect(simulator)
            yield* sampleMany(client, count)
            assert.deepStrictEqual(yield* seqIds(simulator), range(count))
            const all = yield* sent(simulator)
            assert.isAtLeast(
              all.filter(({ status }) => status === 200)[0]!.millis,
              3000,
              "the service's retry-after is respected"
            )
          })
        )
      )
    }

    it.effect("does not slow down another service: 120 samples of each, one of them throttled", () =>
      inTime(
        Effect.gen(function* () {
          const throttled = yield* simulate({
            faults: [Fault.on("asample").during(0, "20 seconds").respond(429, { retryAfter: "2 seconds" })]
          })
          const free = yield* simulate()
          const a = yield* connect(throttled, "tml-a")
          const b = yield* connect(free, "tml-b")
          yield* Effect.all([sampleMany(a, 120), sampleMany(b, 120)], { concurrency: "unbounded" })
          for (const simulator of [throttled, free]) assert.deepStrictEqual(yield* seqIds(simulator), range(120))
          const accepted = (yield* sent(throttled)).filter(({ status }) => status === 200)
          assert.isTrue(accepted.every(({ millis }) => millis >= 20_000))
          const others = yield* sent(free)
          assert.strictEqual(others.length, 120)
          assert.isTrue(others.every(({ millis }) => millis === 0))
        })
      )
    )

    it.effect("keeps as many samples in progress as the service allows, also after callers were interrupted", () =>
      inTime(
        Effect.gen(function* () {
          const simulator = yield* simulate({
            faults: [Fault.on("retrieve_future").delay("30 seconds")],
            server: { clientConfig: { sample_max_concurrent_requests: 8 } }
          })
          const client = yield* connect(simulator)
          const givenUp = yield* Effect.fork(sampleMany(client, 40))
          yield* Effect.sleep("5 seconds")
          assert.strictEqual(yield* simulator.inFlight, 8)
          yield* Fiber.interrupt(givenUp)
          assert.strictEqual(yield* simulator.inFlight, 0)
          const fiber = yield* Effect.fork(sampleMany(client, 40))
          yield* Effect.sleep("5 seconds")
          assert.strictEqual(yield* simulator.inFlight, 8, "each permit is released exactly once")
          assert.strictEqual((yield* Fiber.join(fiber)).length, 40)
        })
      )
    )
  })

  describe("sampling from a service that fails", () => {
    for (const status of [500, 502, 503, 529]) {
      it.effect(`retries after a ${status} with the same sequence number`, () =>
        inTime(
          Effect.gen(function* () {
            const simulator = yield* simulate({ faults: [Fault.on("asample").first(3).respond(status)] })
            const client = yield* connect(simulator)
            yield* sample(client, 1)
            assert.deepStrictEqual(yield* seqIds(simulator), [0])
            assert.strictEqual((yield* sent(simulator)).length, 4)
          })
        )
      )
    }

    it.effect("fails with a 500 after one request if retries are off, and continues", () =>
      inTime(
        Effect.gen(function* () {
          const simulator = yield* simulate({ faults: [Fault.on("asample").nth(1).respond(500)] })
          const client = yield* connect(simulator)
          const exit = yield* Effect.exit(RetryPolicy.withRetryPolicy(sample(client, 1), RetryPolicy.never))
          assert.strictEqual(failureOf(exit)?._tag, "ServerError")
          assert.strictEqual((yield* sent(simulator)).length, 1)
          yield* sample(client, 2)
        })
      )
    )

    it.effect("fails with a 400 after one request, and continues", () =>
      inTime(
        Effect.gen(function* () {
          const simulator = yield* simulate({ faults: [Fault.on("asample").nth(1).respond(400)] })
          const client = yield* connect(simulator)
          assert.strictEqual(failureOf(yield* Effect.exit(sample(client, 1)))?._tag, "BadRequest")
          assert.strictEqual((yield* sent(simulator)).length, 1)
          yield* sample(client, 2)
        })
      )
    )

    it.effect("submits expired samples again, and lost ones only once", () =>
      inTime(
        Effect.gen(function* () {
          const simulator = yield* simulate({
            faults: [
              Fault.on("retrieve_future").nth(1).expire,
              Fault.on("asample").nth(2).loseResponse,
              Fault.on("retrieve_future").nth(2).cutBody
            ]
          })
          const client = yield* connect(simulator)
          yield* sample(client, 1)
          assert.deepStrictEqual(
            yield* seqIds(simulator),
            [0, 1],
            "a new number for the sample that expired, and no other"
          )
        })
      )
    )
  })
})
