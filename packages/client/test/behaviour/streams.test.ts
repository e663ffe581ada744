import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as NodeHttpClient from "@effect-tinker/client/NodeHttpClient"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as SampleStream from "@effect-tinker/client/SampleStream"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import * as TinkerService from "@effect-tinker/server/TinkerService"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Stream, TestClock } from "effect"
import { connect } from "../utils/services.ts"

const prompt = ModelInput.fromTokens([1, 2, 3])
const sampling_params = { max_tokens: 12, seed: 7, temperature: 0.8 }

const samplerOf = (service: ServiceClient.Service) => service.createSamplingClient({ base_model: TestEngine.baseModel })

const collect = (sampling: SamplingClient.SamplingClient, options: SampleStream.StreamOptions) =>
  Effect.map(Stream.runCollect(sampling.stream(prompt, options)), (deltas) => Array.from(deltas))

const tokensOf = (deltas: ReadonlyArray<SampleStream.Delta>) => deltas.flatMap(({ tokens }) => Array.from(tokens))

const samples = (engine: TestEngine.TestEngine) =>
  Effect.map(engine.operations, (all) => all.filter(({ name }) => name === "sample"))

/** Runs the effect while the clock of the test goes on. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

describe("a stream of a service that streams", () => {
  const run = <A, E>(
    program: (sampling: SamplingClient.SamplingClient, engine: TestEngine.TestEngine) => Effect.Effect<A, E>
  ) =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ engine: { pace: "1 second" } })
      return yield* Effect.gen(function* () {
        const sampling = yield* samplerOf(yield* ServiceClient.ServiceClient)
        return yield* program(sampling, server.engine)
      }).pipe(Effect.scoped, Effect.provide(connect(server, { baseUrl: "http://service.test" })))
    }).pipe(Effect.scoped)

  it.effect("brings the tokens of the sample with the same seed, as they are sampled, by one request", () =>
    run((sampling, engine) =>
      Effect.gen(function* () {
        const whole = (yield* inTime(sampling.sample(prompt, { sampling_params, topk_sample_logprobs: 2 })))
          .sequences[0]!
        const deltas = yield* inTime(collect(sampling, { sampling_params, topk_sample_logprobs: 2 }))
        assert.lengthOf(deltas, 12)
        assert.deepStrictEqual(tokensOf(deltas), Array.from(whole.tokens))
        assert.deepStrictEqual(
          deltas.flatMap(({ logprobs }) => Array.from(logprobs!)),
          Array.from(whole.logprobs!)
        )
        assert.deepStrictEqual(
          deltas.flatMap(({ topk_logprobs }) => topk_logprobs!.map((top) => top!.map(([token]) => token))),
          whole.topk_logprobs!.map((top) => top!.map(([token]) => token))
        )
        assert.deepStrictEqual(
          deltas.map(({ stop_reason }) => stop_reason),
          [...Array.from({ length: 11 }, () => undefined), "length"]
        )
        assert.lengthOf(yield* samples(engine), 2)
      })
    )
  )

  it.effect("fails with what the service objects to", () =>
    run((sampling) =>
      Effect.gen(function* () {
        const tooLong = yield* Effect.flip(collect(sampling, { sampling_params: { max_tokens: 100_000 } }))
        assert.strictEqual(tooLong._tag, "BadRequest")
        const invalid = yield* Effect.flip(collect(sampling, { sampling_params: { max_tokens: -1 } }))
        assert.strictEqual(invalid._tag, "InvalidInput")
        const wrong = yield* Effect.flip(collect(sampling, { tokensPerRequest: 0 }))
        assert.strictEqual(wrong._tag, "InvalidInput")
      })
    )
  )

  it.effect("ends before a stop sequence that the service does not look for, and ends the sample", () =>
    run((sampling) =>
      Effect.gen(function* () {
        const tokenizer = { decode: (tokens: ReadonlyArray<number>) => String.fromCharCode(...tokens) }
        const whole = (yield* inTime(sampling.sample(prompt, { sampling_params }))).sequences[0]!
        const stop = String.fromCharCode(...whole.tokens.slice(4, 6))
        const deltas = yield* inTime(
          Stream.runCollect(
            sampling.stream(prompt, { sampling_params }).pipe(SampleStream.text(tokenizer as never, { stop: [stop] }))
          )
        )
        const all = Array.from(deltas)
        assert.strictEqual(all.map(({ text }) => text).join(""), String.fromCharCode(...whole.tokens.slice(0, 4)))
        assert.strictEqual(all.at(-1)!.stop_reason, "stop")
      })
    )
  )
})

describe("a stream of a service that does not stream", () => {
  it.effect("continues the tokens so far, a few at a time", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ clientConfig: { sample_streams: false } })
      yield* Effect.gen(function* () {
        const sampling = yield* samplerOf(yield* ServiceClient.ServiceClient)
        const deltas = yield* collect(sampling, { sampling_params, tokensPerRequest: 5 })
        assert.deepStrictEqual(
          deltas.map(({ stop_reason, tokens }) => [tokens.length, stop_reason]),
          [
            [5, undefined],
            [5, undefined],
            [2, "length"]
          ]
        )
        const requests = (yield* samples(server.engine)).map(
          ({ input }) => input as { prompt: ModelInput.ModelInput; sampling_params: { seed: number } }
        )
        assert.deepStrictEqual(
          requests.map(({ prompt }) => Array.from(ModelInput.toTokens(prompt))),
          [0, 5, 10].map((count) => [1, 2, 3, ...tokensOf(deltas).slice(0, count)])
        )
        assert.lengthOf(new Set(requests.map(({ sampling_params }) => sampling_params.seed)), 3)
      }).pipe(Effect.scoped, Effect.provide(connect(server, { baseUrl: "http://service.test" })))
    }).pipe(Effect.scoped)
  )
})

describe("a stream over a socket", () => {
  /** A service behind a socket, and how many operations it holds. */
  const listen = (pace: "5 millis" | "1 hour") =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        NodeServer.layer().pipe(
          Layer.provide([TestEngine.layer({ pace }), CheckpointStore.layerMemory, Store.layerMemory])
        )
      )
      const url = yield* Effect.provide(NodeServer.baseUrl, context)
      const { held } = Context.get(context, TinkerService.TinkerService)
      const client = ServiceClient.layer({ apiKey: Redacted.make("tml-key"), baseUrl: url }).pipe(
        Layer.provide(NodeHttpClient.layer)
      )
      const sampling = yield* samplerOf(Context.get(yield* Layer.build(client), ServiceClient.ServiceClient))
      return { sampling, held }
    })

  it.scopedLive("brings pieces before the sample ends", () =>
    Effect.gen(function* () {
      const { held, sampling } = yield* listen("5 millis")
      const deltas = yield* collect(sampling, { sampling_params })
      assert.isAbove(deltas.length, 2)
      assert.lengthOf(tokensOf(deltas), 12)
      assert.strictEqual((yield* held).futures, 0)
    })
  )

  it.scopedLive("frees the place of a reader that leaves", () =>
    Effect.gen(function* () {
      const { held, sampling } = yield* listen("1 hour")
      const fiber = yield* Effect.fork(collect(sampling, { sampling_params }))
      yield* Effect.repeat(Effect.delay(held, "1 millis"), { until: ({ futures }) => futures === 1 })
      yield* Fiber.interrupt(fiber)
      yield* Effect.repeat(Effect.delay(held, "1 millis"), { until: ({ futures }) => futures === 0 })
    })
  )
})
