import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, TestClock } from "effect"
import { bodies, connect, json, over, scripted, ways } from "../../utils/services.ts"

const prompt = ModelInput.fromTokens([1, 2, 3])
const flags = { "/client/config": json({ sample_use_retrieve_futures: true }) }

/** A service whose flags ask for one poll, and the paths that were asked for. */
describe.each(ways)("completed futures over %s", (way) => {
  const embedded = Effect.gen(function* () {
    const server = yield* TestServer.make({
      clientConfig: { sample_use_retrieve_futures: true },
      longPoll: "20 seconds"
    })
    const paths: Array<string> = []
    const http = HttpClient.mapRequest(server.client, (request) => {
      paths.push(request.url.replace(/^.*\/api\/v1/, ""))
      return request
    })
    const layer = ServiceClient.layer({ apiKey: Redacted.make("tml-test"), baseUrl: "http://service.test" }).pipe(
      Layer.provide(over(way, Layer.succeed(HttpClient.HttpClient, http)))
    )
    const of = (path: string) => paths.filter((asked) => asked === path).length
    return { layer, of }
  })

  describe("a service with one poll for all samples", () => {
    it.scoped("gets one poll at a time, and each result is fetched once", () =>
      Effect.gen(function* () {
        const { layer, of } = yield* embedded
        yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const sampling = yield* service.createSamplingClient({ base_model: TestEngine.baseModel })
          const sample = (seed: number) =>
            sampling.sample(prompt, { num_samples: 2, sampling_params: { max_tokens: 3, seed } })
          const all = yield* Effect.forEach(
            Array.from({ length: 100 }, (_, i) => i),
            sample,
            { concurrency: "unbounded" }
          )
          assert.strictEqual(of("/retrieve_future"), 100)
          assert.isBelow(of("/retrieve_futures"), 100)
          assert.deepStrictEqual(
            all[7]!.sequences.map(({ tokens }) => tokens),
            (yield* sample(7)).sequences.map(({ tokens }) => tokens)
          )
          const error = yield* Effect.flip(
            sampling.sample(ModelInput.fromTokens([9999]), { sampling_params: { max_tokens: 3 } })
          )
          assert.strictEqual(error._tag, "RequestFailed")
        }).pipe(Effect.provide(layer))
      })
    )

    it.scoped("is polled again after transient failures, and a permanent one fails the samples", () =>
      Effect.gen(function* () {
        const http = yield* scripted.make({
          ...flags,
          "/create_sampling_session": json({ sampling_session_id: "sampler" }),
          "/asample": (request) => json({ request_id: `sampler:${(request.body as { seq_id: number }).seq_id}` }),
          "/retrieve_futures": [
            json({ detail: "busy" }, { status: 503 }),
            json({ detail: "odd" }, { status: 400 }),
            json({ completions: [{ state: "finished", request_id: "sampler:0" }], cursor: 1 }),
            json({ completions: [], cursor: 1 }),
            json({ detail: "no such session" }, { status: 404 })
          ],
          "/retrieve_future": json({ sequences: [{ stop_reason: "stop", tokens: [7], logprobs: [-0.5] }] })
        })
        yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const sampling = yield* service.createSamplingClient({ base_model: "base" })
          const fibers = yield* Effect.fork(
            Effect.forEach([0, 1], () => Effect.either(sampling.sample(prompt)), { concurrency: "unbounded" })
          )
          yield* TestClock.adjust("1 minute")
          const [first, second] = yield* Fiber.join(fibers)
          assert.deepStrictEqual(first!._tag === "Right" && Array.from(first!.right.sequences[0]!.tokens), [7])
          assert.strictEqual(second!._tag === "Left" && second!.left._tag, "NotFound")
          const asked = yield* bodies(http, "/retrieve_futures")
          assert.deepStrictEqual(
            asked.map(({ prev_cursor }) => prev_cursor),
            [0, 0, 0, 1, 1, 1]
          )
          // each fetched result is acknowledged once
          const acknowledged = asked.flatMap((poll) => poll["retrieved_request_ids"] as ReadonlyArray<string>)
          assert.strictEqual(acknowledged.filter((id) => id === "sampler:0").length, 1)
        }).pipe(Effect.provide(connect(http, { way })))
      })
    )
  })

  describe("abandoned samples", () => {
    const abandon = (enabled: boolean) =>
      Effect.gen(function* () {
        const http = yield* scripted.make({
          "/client/dynamic_config": json({ sample_cancel_enabled: enabled, sample_cancel_max_batch_size: 2 }),
          "/create_sampling_session": json({ sampling_session_id: "sampler" }),
          "/asample": (request) => json({ request_id: `sampler:${(request.body as { seq_id: number }).seq_id}` }),
          "/retrieve_future": ScriptedHttpClient.after("1 hour", json({ type: "try_again" })),
          "/cancel_future": ScriptedHttpClient.empty()
        })
        yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const sampling = yield* service.createSamplingClient({ base_model: "base" })
          const fibers = yield* Effect.forEach([0, 1, 2], () => Effect.fork(sampling.sample(prompt)))
          yield* TestClock.adjust("1 second")
          // the interruption does not wait for the cancellation request
          yield* Fiber.interruptAll(fibers)
          yield* TestClock.adjust("1 second")
        }).pipe(Effect.scoped, Effect.provide(connect(http, { way })))
        return (yield* bodies(http, "/cancel_future")).map(({ request_id }) => request_id)
      }).pipe(Effect.scoped)

    it.effect("are cancelled if the response to their submission has not arrived", () =>
      Effect.gen(function* () {
        const http = yield* scripted.make({
          "/client/dynamic_config": json({ sample_cancel_enabled: true }),
          "/create_sampling_session": json({ sampling_session_id: "sampler" }),
          "/asample": [ScriptedHttpClient.after("1 hour", json({ request_id: "late" })), json({ request_id: "first" })],
          "/cancel_future": ScriptedHttpClient.empty()
        })
        yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const sampling = yield* service.createSamplingClient({ base_model: "base" })
          const fiber = yield* Effect.fork(sampling.sample(prompt))
          yield* TestClock.adjust("1 second")
          yield* Fiber.interrupt(fiber)
          yield* TestClock.adjust("1 second")
        }).pipe(Effect.scoped, Effect.provide(connect(http, { way })))
        const [first, again] = yield* bodies(http, "/asample")
        // under the same number, so that the service does not start another
        assert.deepStrictEqual(again, first)
        assert.deepStrictEqual(yield* bodies(http, "/cancel_future"), [{ request_id: "first" }])
      }).pipe(Effect.scoped)
    )

    it.effect("are cancelled if the service supports it", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* abandon(true)).sort(), ["sampler:0", "sampler:1", "sampler:2"])
        assert.deepStrictEqual(yield* abandon(false), [])
      })
    )
  })
})
