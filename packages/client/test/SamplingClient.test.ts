import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import type * as SamplingClient from "@effect-tinker/client/SamplingClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, TestClock } from "effect"
import { connect, json, scripted, ways } from "./utils/services.ts"
import { bodyOf, failureOf } from "./utils/exits.ts"
import { range } from "./utils/range.ts"
import { errorResponse } from "./utils/trainingRun.ts"

type Steps = ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>
type Http = ScriptedHttpClient.ScriptedHttpClient

const prompt = ModelInput.fromTokens([1, 2, 3])
const envelope = json({ request_id: "Sample" })
const attempts = (http: Http) =>
  Effect.map(http.requestsTo("/asample"), (requests) =>
    requests.map((request) => [bodyOf(request)["seq_id"], request.time])
  )

/** the most requests that were under way at once */
const crowd = (after: `${number} seconds`) => {
  const state = { now: 0, most: 0, total: 0 }
  const step: ScriptedHttpClient.Step = () =>
    Effect.suspend(() => {
      state.total++
      state.most = Math.max(state.most, ++state.now)
      return ScriptedHttpClient.after(after, envelope)
    }).pipe(Effect.ensuring(Effect.sync(() => state.now--)))
  return { state, step }
}

const many = (sampling: SamplingClient.SamplingClient, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => sampling.sample(prompt), { concurrency: "unbounded" })

describe.each(ways)("SamplingClient over %s", (way) => {
  const run = <A, E>(
    overrides: Record<string, Steps>,
    program: (
      sampling: SamplingClient.SamplingClient,
      http: Http,
      service: ServiceClient.Service
    ) => Effect.Effect<A, E, Scope.Scope>,
    options: SamplingClient.ClientOptions = {}
  ) =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/create_sampling_session": json({ sampling_session_id: "sampler" }),
        ...overrides
      })
      const value = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        return yield* program(yield* service.createSamplingClient({ base_model: "base", ...options }), http, service)
      }).pipe(Effect.scoped, Effect.provide(connect(http, { way })))
      return { http, value }
    }).pipe(Effect.scoped)

  describe("one sample", () => {
    it.scoped("is retried with the same sequence number after a 429, while all samplers of the session pause", () =>
      Effect.gen(function* () {
        const { http } = yield* run(
          { "/asample": [errorResponse(429), errorResponse(429, { "retry-after": "20" }), envelope] },
          (sampling, _, service) =>
            Effect.gen(function* () {
              const other = yield* service.createSamplingClient({ base_model: "base" })
              const first = yield* Effect.fork(sampling.sample(prompt))
              yield* TestClock.adjust(10)
              const second = yield* Effect.fork(other.sample(ModelInput.fromTokens([9])))
              yield* TestClock.adjust("30 seconds")
              yield* Fiber.join(first)
              yield* Fiber.join(second)
            })
        )
        const requests = yield* http.requestsTo("/asample")
        const start = requests[0]!.time
        const sent = requests.map((request) => [
          (bodyOf(request)["prompt"] as { chunks: Array<{ tokens: Array<number> }> }).chunks[0]!.tokens.length,
          request.time - start
        ])
        // after the first pause one of them is throttled again, before the other is sent; then both succeed
        assert.deepStrictEqual(sent[0], [3, 0])
        assert.deepStrictEqual(
          sent.map(([, time]) => time),
          [0, 1000, 21_000, 21_000]
        )
        assert.isTrue(requests.every((request) => bodyOf(request)["seq_id"] === 0))
      })
    )

    it.scoped("pauses for longer after a 429 if it is large", () =>
      Effect.gen(function* () {
        const { http } = yield* run({ "/asample": [errorResponse(429), envelope] }, (sampling) =>
          Effect.gen(function* () {
            const sample = yield* Effect.fork(sampling.sample(ModelInput.fromTokens(new Int32Array(14_000).fill(1))))
            yield* TestClock.adjust("6 seconds")
            yield* Fiber.join(sample)
          })
        )
        const [[, first], [, second]] = (yield* attempts(http)) as [[number, number], [number, number]]
        assert.strictEqual(second - first, 5000)
      })
    )

    it.scoped("keeps its sequence number over retries, and gets a new one when its result has expired", () =>
      Effect.gen(function* () {
        const { http, value } = yield* run(
          {
            "/asample": [
              errorResponse(503),
              ScriptedHttpClient.connectionLost,
              ScriptedHttpClient.text("<html>"),
              envelope
            ],
            "/retrieve_future": [errorResponse(410), json({ sequences: [{ stop_reason: "stop", tokens: [7] }] })]
          },
          (sampling) =>
            Effect.gen(function* () {
              const sample = yield* Effect.fork(sampling.sample(prompt))
              yield* TestClock.adjust("20 seconds")
              return yield* Fiber.join(sample)
            })
        )
        assert.deepStrictEqual(Array.from(value.sequences[0]!.tokens), [7])
        assert.deepStrictEqual(
          (yield* attempts(http)).map(([seqId]) => seqId),
          [0, 0, 0, 0, 1]
        )
      })
    )

    it.scoped("is submitted only once if the service or the program turns resubmission off", () =>
      Effect.gen(function* () {
        const gone = { "/retrieve_future": errorResponse(410) }
        const byService = yield* run({ ...gone, "/client/config": json({ sample_no_retries: true }) }, (sampling) =>
          Effect.exit(sampling.sample(prompt))
        )
        assert.strictEqual(failureOf(byService.value)?._tag, "FutureExpired")
        const byOption = yield* run(gone, (sampling) => Effect.exit(sampling.sample(prompt)), { resubmit: false })
        assert.strictEqual(failureOf(byOption.value)?._tag, "FutureExpired")
        const byPolicy = yield* run({ "/asample": errorResponse(429) }, (sampling) =>
          Effect.exit(RetryPolicy.withRetryPolicy(sampling.sample(prompt), { total: 0 }))
        )
        assert.strictEqual(failureOf(byPolicy.value)?._tag, "RateLimited")
      })
    )

    it.scoped("fails at once if it is rejected, and with the service's reason if it failed", () =>
      Effect.gen(function* () {
        const refused = yield* run({ "/asample": errorResponse(422) }, (sampling) =>
          Effect.exit(sampling.sample(prompt))
        )
        assert.strictEqual(failureOf(refused.value)?._tag, "BadRequest")
        const failed = yield* run({ "/retrieve_future": json({ error: "oom", category: "server" }) }, (sampling) =>
          Effect.exit(sampling.sample(prompt))
        )
        assert.strictEqual(failureOf(failed.value)?._tag, "RequestFailed")
      })
    )

    it.scoped("fails with NoProgress if the service throttles it for longer than the limit", () =>
      Effect.gen(function* () {
        const { value } = yield* run({ "/asample": errorResponse(429) }, (sampling) =>
          Effect.gen(function* () {
            const sample = yield* Effect.fork(TinkerFuture.withNoProgressLimit(sampling.sample(prompt), "30 seconds"))
            yield* TestClock.adjust("40 seconds")
            return yield* Fiber.await(sample)
          })
        )
        assert.strictEqual(failureOf(value)?._tag, "NoProgress")
      })
    )

    it.scoped("returns what was requested: top-k tokens, gaps in the logprobs, sequence ids", () =>
      Effect.gen(function* () {
        const { http, value } = yield* run(
          {
            "/asample": json({ request_id: "Sample", sample_sequence_ids: ["s-0", "s-1"] }),
            "/retrieve_future": json({
              sequences: [
                { stop_reason: "stop", tokens: [7], logprobs: [-0.5], topk_logprobs: [[[7, -0.5]]] },
                { stop_reason: "length", tokens: [8] }
              ],
              prompt_logprobs: [null, -1.5, -2.5],
              topk_prompt_logprobs: [
                null,
                [
                  [3, -0.25],
                  [4, -2]
                ],
                [[5, -0.5]]
              ]
            }),
            "/samplers/sampler": json({ sampler_id: "sampler", base_model: "base", model_path: null })
          },
          (sampling) =>
            Effect.gen(function* () {
              assert.strictEqual(yield* sampling.getBaseModel, "base")
              const logprobs = yield* sampling.computeLogprobs(prompt)
              assert.isNaN(logprobs[0])
              assert.deepStrictEqual(Array.from(logprobs.slice(1)), [-1.5, -2.5])
              return yield* sampling.sample(prompt, {
                num_samples: 2,
                prompt_logprobs: true,
                topk_prompt_logprobs: 2,
                topk_sample_logprobs: 1,
                prompt_logprobs_last_n: 2
              })
            })
        )
        assert.deepStrictEqual(value.topk_prompt_logprobs, [
          null,
          [
            [3, -0.25],
            [4, -2]
          ],
          [[5, -0.5]]
        ])
        assert.deepStrictEqual(value.sequences[0]!.topk_logprobs, [[[7, -0.5]]])
        assert.deepStrictEqual(
          value.sequences.map((sequence) => sequence.sequence_id),
          ["s-0", "s-1"]
        )
        const [forLogprobs, sample] = (yield* http.requestsTo("/asample")).map(bodyOf)
        assert.deepInclude(forLogprobs, {
          num_samples: 1,
          sampling_params: { max_tokens: 1, temperature: 1, top_k: -1, top_p: 1 },
          prompt_logprobs: true,
          seq_id: 0
        })
        assert.deepInclude(sample, {
          num_samples: 2,
          topk_prompt_logprobs: 2,
          topk_sample_logprobs: 1,
          prompt_logprobs_last_n: 2,
          seq_id: 1
        })
      })
    )
  })

  describe("many samples", () => {
    it.scoped("are submitted 400 at a time, and ten at a time after a 429", () =>
      Effect.gen(function* () {
        const calm = crowd("1 seconds")
        yield* run({ "/asample": calm.step }, (sampling) =>
          Effect.gen(function* () {
            const all = yield* Effect.fork(many(sampling, 410))
            yield* TestClock.adjust(10)
            assert.strictEqual(calm.state.now, 400)
            yield* Fiber.interrupt(all)
          })
        )
        assert.strictEqual(calm.state.now, 0)
        const busy = crowd("1 seconds")
        yield* run({ "/asample": [errorResponse(429), busy.step] }, (sampling) =>
          Effect.gen(function* () {
            const first = yield* Effect.fork(sampling.sample(prompt))
            yield* TestClock.adjust(10)
            const all = yield* Effect.fork(many(sampling, 40))
            yield* TestClock.adjust("8 seconds")
            yield* Effect.all([Fiber.join(first), Fiber.join(all)])
          })
        )
        assert.strictEqual(busy.state.most, 10)
        assert.strictEqual(busy.state.total, 41)
      })
    )

    it.scoped("release their permits to submit once the service has accepted them", () =>
      Effect.gen(function* () {
        const { http } = yield* run({ "/asample": envelope, "/retrieve_future": Effect.never }, (sampling) =>
          Effect.gen(function* () {
            yield* Effect.forEach(range(500), () => Effect.fork(sampling.sample(prompt)))
            yield* TestClock.adjust(1)
          })
        )
        assert.strictEqual((yield* http.requestsTo("/asample")).length, 500)
      })
    )

    it.scoped("pause for the delay of the service, also if they were queued before the 429", () =>
      Effect.gen(function* () {
        let count = 0
        const { http } = yield* run(
          {
            "/asample": () =>
              count++ === 0
                ? ScriptedHttpClient.after("1 seconds", errorResponse(429, { "retry-after": "20" }))
                : ScriptedHttpClient.after("1100 millis", envelope)
          },
          (sampling) =>
            Effect.gen(function* () {
              const fibers = yield* Effect.forEach(range(450), () => Effect.fork(sampling.sample(prompt)))
              yield* TestClock.adjust("20 seconds")
              assert.strictEqual(count, 400)
              yield* TestClock.adjust("60 seconds")
              yield* Effect.forEach(fibers, Fiber.join)
            })
        )
        const times = (yield* http.requestsTo("/asample")).map(({ time }) => time)
        assert.strictEqual(times.length, 451)
        assert.isTrue(times.every((time) => time === 0 || time >= 21_000))
      })
    )

    it.scoped("are sent up to the limit of the service, and an interrupted one makes room for the next", () =>
      Effect.gen(function* () {
        const waiting = crowd("1 seconds")
        const { http } = yield* run(
          {
            "/client/config": json({ sample_max_concurrent_requests: 5 }),
            "/asample": waiting.step
          },
          (sampling) =>
            Effect.gen(function* () {
              const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () =>
                Effect.fork(sampling.sample(prompt))
              )
              yield* TestClock.adjust(500)
              assert.strictEqual(waiting.state.now, 5)
              // some of those in flight, and some of those in the queue
              yield* Effect.forEach(fibers.slice(2, 12).toReversed(), Fiber.interrupt)
              yield* TestClock.adjust(0)
              assert.strictEqual(waiting.state.now, 5)
              yield* TestClock.adjust("5 seconds")
              yield* Effect.forEach([...fibers.slice(0, 2), ...fibers.slice(12)], Fiber.join)
            })
        )
        assert.strictEqual(waiting.state.most, 5)
        assert.strictEqual((yield* http.requestsTo("/asample")).length, 5 + 8)
      })
    )

    it.scoped("of one service are not throttled by another service", () =>
      Effect.gen(function* () {
        const throttled: Record<string, Steps> = {
          "/create_sampling_session": json({ sampling_session_id: "slow" }),
          "/asample": errorResponse(429)
        }
        const slowHttp = yield* scripted.make(throttled)
        const fastHttp = yield* scripted.make({ "/create_sampling_session": json({ sampling_session_id: "fast" }) })
        const slow = yield* ServiceClient.ServiceClient.pipe(
          Effect.provide(connect(slowHttp, { way })),
          Effect.scoped,
          Effect.fork
        )
        yield* Fiber.interrupt(slow)
        const times = yield* Effect.gen(function* () {
          const fast = yield* (yield* ServiceClient.ServiceClient).createSamplingClient({ base_model: "base" })
          return yield* Effect.gen(function* () {
            const slow = yield* (yield* ServiceClient.ServiceClient).createSamplingClient({ base_model: "base" })
            const stuck = yield* Effect.fork(many(slow, 120))
            yield* TestClock.adjust(10)
            // the clock does not move while these run
            yield* many(fast, 120)
            yield* Fiber.interrupt(stuck)
            return yield* fastHttp.requestsTo("/asample")
          }).pipe(Effect.provide(connect(slowHttp, { way })))
        }).pipe(Effect.provide(connect(fastHttp, { way })))
        assert.strictEqual(times.length, 120)
        assert.strictEqual(new Set(times.map(({ time }) => time)).size, 1)
      }).pipe(Effect.scoped)
    )

    it.scoped("all return despite faults, each with a different sequence number", () =>
      Effect.gen(function* () {
        let count = 0
        const { http, value } = yield* run(
          {
            "/asample": () => {
              const fate = count++ % 7
              if (fate === 2) return errorResponse(429)
              if (fate === 4) return errorResponse(500)
              if (fate === 5) return ScriptedHttpClient.connectionLost
              return envelope
            }
          },
          (sampling) =>
            Effect.gen(function* () {
              const all = yield* Effect.fork(many(sampling, 50))
              yield* TestClock.adjust("60 seconds")
              return yield* Fiber.join(all)
            })
        )
        assert.strictEqual(value.length, 50)
        const numbers = (yield* attempts(http)).map(([seqId]) => seqId)
        assert.strictEqual(new Set(numbers).size, 50)
      })
    )
  })
})
