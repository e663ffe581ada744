/** A service whose engine computes one part of an operation at a time, each in 100 ms of the test's clock. */
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Store from "@effect-tinker/server/Store"
import * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"

/** How many datums, or samples, are a part. */
export const datumsPerPart = 4
export const samplesPerPart = 64

/** The parts that were computed, by the model or sampler they belong to. */
export type Parts = Array<object>

const slowDown = (engine: Engine.Service, computed: Parts): Effect.Effect<Engine.Service> =>
  Effect.map(Effect.makeSemaphore(1), (semaphore) => {
    const compute = (owner: object, parts: number, tokensPerPart: number) =>
      Effect.forEach(
        Array.from({ length: parts }, (_, i) => i),
        (i) =>
          Effect.suspend(() => {
            computed.push(owner)
            return Effect.sleep("100 millis")
          }).pipe(
            semaphore.withPermits(1),
            Effect.zipRight(i + 1 < parts ? Engine.yieldTurn(tokensPerPart) : Effect.void)
          ),
        { discard: true }
      )
    const pass = (model: Engine.EngineModel, { data }: Engine.PassOptions) =>
      compute(model, Math.ceil(data.length / datumsPerPart), datumsPerPart * 2)
    return {
      ...engine,
      concurrency: 1,
      createModel: (options) =>
        Effect.map(engine.createModel(options), (model) => ({
          ...model,
          forward: (options) => Effect.zipRight(pass(model, options), model.forward(options)),
          forwardBackward: (options) => Effect.zipRight(pass(model, options), model.forwardBackward(options))
        })),
      createSampler: (options) =>
        Effect.map(engine.createSampler(options), (sampler) => ({
          sample: (request) =>
            Effect.zipRight(
              compute(sampler, Math.ceil(request.num_samples / samplesPerPart), samplesPerPart * 4),
              sampler.sample(request)
            )
        }))
    }
  })

/** Starts a service for the users `tml-ada` and `tml-bob`; `as` runs an effect with the key of one. */
export const start = (options: TinkerServer.Options = {}) =>
  Effect.gen(function* () {
    const parts: Parts = []
    const { engine } = yield* TestEngine.make({ record: false, vocabularySize: 16 })
    const slow = Layer.effect(Engine.Engine, slowDown(engine, parts))
    const apiKeys = ["tml-ada", "tml-bob"].map((key) => Redacted.make(key))
    const http = yield* InProcessHttpClient.make(
      TinkerServer.layer({ apiKeys, ...options }).pipe(
        Layer.provide([slow, CheckpointStore.layerMemory, Store.layerMemory])
      )
    )
    const as =
      (key: "tml-ada" | "tml-bob") =>
      <A, E>(effect: Effect.Effect<A, E, HttpClient.HttpClient>): Effect.Effect<A, E> =>
        Effect.provideService(
          effect,
          HttpClient.HttpClient,
          HttpClient.mapRequest(http, HttpClientRequest.setHeader("x-api-key", key))
        )
    return { ada: as("tml-ada"), bob: as("tml-bob"), parts }
  })

/** Runs an effect, and returns how many parts the engine could have computed until it ended. */
export const partsUntil = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<number, E> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    for (let count = 0; ; count++) {
      yield* TestClock.adjust(0)
      if (Option.isSome(yield* Fiber.poll(fiber))) {
        yield* Fiber.join(fiber)
        return count
      }
      yield* TestClock.adjust("100 millis")
    }
  })
