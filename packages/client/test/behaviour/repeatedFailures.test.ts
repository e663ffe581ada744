import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as ProtobufCodec from "@effect-tinker/api/ProtobufCodec"
import type * as QueueState from "@effect-tinker/client/QueueState"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import { withWarnings } from "@effect-tinker/testing/Logs"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Either, Exit, Fiber, Layer, Option, Stream, TestClock } from "effect"
import { bodyOf, failureOf } from "../utils/exits.ts"
import { range } from "../utils/range.ts"
import { connect, json, scripted, ways } from "../utils/services.ts"
import { errorResponse, results, run, settle } from "../utils/trainingRun.ts"

const outOfMemory = errorResponse(500, {}, { detail: "CUDA out of memory" })
const prompt = ModelInput.fromTokens([1, 2, 3])

/** The states of a queue while an effect runs, from the first on. */
const statesDuring = <A, E, R>(queue: QueueState.Observable, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const states: Array<QueueState.QueueState> = []
    const fiber = yield* Effect.fork(Stream.runForEach(queue.changes, (state) => Effect.sync(() => states.push(state))))
    yield* TestClock.adjust(0)
    const value = yield* effect
    yield* TestClock.adjust(0)
    yield* Fiber.interrupt(fiber)
    return { value, states }
  })

const sampled = {
  type: "sample" as const,
  prompt_cache_hit_tokens: 0,
  sequences: [{ stop_reason: "stop" as const, tokens: Int32Array.of(7), logprobs: Float32Array.of(-0.5) }]
}

const times = (count: number, step: ScriptedHttpClient.Step, last: ScriptedHttpClient.Step) => [
  ...range(count).map(() => step),
  last
]

describe("a request that is retried", () => {
  it.scoped("logs one warning with the server's text, and none again for the retries after it", () =>
    Effect.gen(function* () {
      const { lines, value } = yield* withWarnings(
        run({ "/optim_step": times(4, outOfMemory, json({ request_id: "OptimStep" })) }, (training) =>
          statesDuring(training.queueState, Effect.flatMap(training.optimStep(), settle))
        )
      )
      assert.isTrue(Exit.isSuccess(value.value.value))
      assert.strictEqual(lines.length, 1, lines.join("\n"))
      assert.match(lines[0]!, /^retrying after a failure: optimStep: .* 500: CUDA out of memory/)
      assert.deepStrictEqual(
        value.value.states.map(({ state }) => state),
        ["active"]
      )
    })
  )

  it.scoped("is shown in the queue state once the same error came five times in a row, until it succeeds", () =>
    Effect.gen(function* () {
      const { lines, value } = yield* withWarnings(
        run({ "/optim_step": times(6, outOfMemory, json({ request_id: "OptimStep" })) }, (training) =>
          statesDuring(training.queueState, Effect.flatMap(training.optimStep(), settle))
        )
      )
      assert.isTrue(Exit.isSuccess(value.value.value), String(value.value.value))
      const { states } = value.value
      assert.deepStrictEqual(
        states.map(({ state }) => state),
        ["active", "retrying", "active"]
      )
      assert.include(states[1]!.reason, "CUDA out of memory")
      assert.strictEqual(lines.length, 2, lines.join("\n"))
      assert.match(lines[1]!, /^Training of model-1 is waiting: the same failure 5 times or more in a row: .*CUDA/)
    })
  )

  it.scoped("is not shown while its errors differ", () =>
    Effect.gen(function* () {
      const steps = range(12).map((i) => errorResponse(i % 2 === 0 ? 500 : 503))
      const { value } = yield* withWarnings(
        run({ "/optim_step": [...steps, json({ request_id: "OptimStep" })] }, (training) =>
          statesDuring(training.queueState, Effect.flatMap(training.optimStep(), settle))
        )
      )
      assert.isTrue(Exit.isSuccess(value.value.value))
      assert.deepStrictEqual(
        value.value.states.map(({ state }) => state),
        ["active"]
      )
    })
  )

  it.scoped("against a service that does not answer gives one warning after a few seconds, then one a minute", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({ "/create_session": ScriptedHttpClient.connectionLost })
      const linesWithin = (duration: "2 seconds" | "10 seconds" | "55 seconds" | "4 minutes") =>
        Effect.map(
          withWarnings(
            Effect.gen(function* () {
              const connecting = yield* Effect.fork(Effect.exit(Effect.scoped(Layer.build(connect(http)))))
              yield* TestClock.adjust(duration)
              yield* Fiber.interrupt(connecting)
            })
          ),
          ({ lines }) => lines
        )
      assert.deepStrictEqual(yield* linesWithin("2 seconds"), [])
      const [line, ...more] = yield* linesWithin("10 seconds")
      assert.match(line!, /^retrying, \d failures in a row: createSession: .*could not be reached/)
      assert.deepStrictEqual(more, [])
      assert.strictEqual((yield* linesWithin("55 seconds")).length, 1)
      const within4Minutes = (yield* linesWithin("4 minutes")).length
      assert.isTrue(within4Minutes >= 3 && within4Minutes <= 4, String(within4Minutes))
    })
  )

  it.scoped("against a service that does not answer has one warning with all others of the client", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/create_sampling_session": json({ sampling_session_id: "sampler" }),
        "/asample": ScriptedHttpClient.connectionLost
      })
      const { lines } = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: "base" })
        const sample = sampling.sample(prompt, { sampling_params: { max_tokens: 1 } })
        const samples = yield* Effect.fork(
          Effect.all(
            range(50).map(() => sample),
            { concurrency: "unbounded" }
          )
        )
        yield* TestClock.adjust("55 seconds")
        assert.strictEqual((yield* sampling.queueState.current).state, "retrying")
        yield* Fiber.interrupt(samples)
      }).pipe(Effect.provide(connect(http)), withWarnings)
      assert.strictEqual(lines.length, 1, lines.join("\n"))
    })
  )
})

describe("a batch that is submitted again", () => {
  const batch = [Datum.fromPromptCompletion([1, 2], [3])]
  const failed = { request_id: "Failed" }
  const afterFailure: ScriptedHttpClient.Step = (request) =>
    bodyOf(request)["request_id"] === "Failed" ? json({ error: "no memory", category: "server" }) : stepResults(request)
  const stepResults = results as (request: ScriptedHttpClient.Recorded) => ScriptedHttpClient.Reply

  const step = (training: TrainingClient.TrainingClient) =>
    Effect.gen(function* () {
      const forward = yield* training.forwardBackward(batch, "cross_entropy")
      const update = yield* training.optimStep()
      return yield* Effect.all([settle(forward), settle(update)])
    })

  it.scoped("after its step has failed is warned of, with the count; one of the next epoch is not", () =>
    Effect.gen(function* () {
      const { lines } = yield* withWarnings(
        run(
          { "/retrieve_future": afterFailure, "/optim_step": [json(failed), json({ request_id: "OptimStep" })] },
          (training) => Effect.repeatN(step(training), 3)
        )
      )
      assert.strictEqual(lines.length, 1, lines.join("\n"))
      assert.match(
        lines[0]!,
        /^forwardBackward: the same batch is submitted for the 2nd time, after a failure.*Step\.make/
      )
    })
  )

  it.scoped("is no matter, but a step that was applied without its pass is", () =>
    Effect.gen(function* () {
      const pass = json(failed)
      const { lines, value } = yield* withWarnings(
        run({ "/retrieve_future": afterFailure, "/forward_backward": pass, "/forward": pass }, step)
      )
      const [forward, update] = value.value
      assert.isTrue(Exit.isFailure(forward) && Exit.isSuccess(update))
      assert.strictEqual(lines.length, 1, lines.join("\n"))
      assert.match(lines[0]!, /^a step was applied although forwardBackward \(seq_id 1\) of it failed/)
    })
  )
})

describe.each(ways)("samples over %s", (way) => {
  it.scoped("of which twenty fail at once give one warning, and their sampler shows what the service says", () =>
    Effect.gen(function* () {
      let isUp = false
      const http = yield* scripted.make({
        "/create_sampling_session": json({ sampling_session_id: "sampler" }),
        "/asample": () => (isUp ? json({ request_id: "Sample" }) : outOfMemory)
      })
      const { lines, value } = yield* withWarnings(
        Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const sampling = yield* service.createSamplingClient({ base_model: "base" })
          const all = yield* Effect.fork(
            Effect.forEach(range(20), () => sampling.sample(prompt, { sampling_params: { max_tokens: 1 } }), {
              concurrency: "unbounded"
            })
          )
          yield* TestClock.adjust("3 seconds")
          const early = yield* sampling.queueState.current
          yield* TestClock.adjust("20 seconds")
          const during = yield* sampling.queueState.current
          isUp = true
          yield* TestClock.adjust("15 seconds")
          assert.strictEqual((yield* Fiber.join(all)).length, 20)
          return { early, during, after: yield* sampling.queueState.current }
        }).pipe(Effect.provide(connect(http, { way })))
      )
      assert.strictEqual(value.early.state, "active")
      assert.strictEqual(value.during.state, "retrying")
      assert.include(value.during.reason, "CUDA out of memory")
      assert.strictEqual(value.after.state, "active")
      assert.strictEqual(lines.length, 2, lines.join("\n"))
      assert.match(lines[0]!, /^retrying after a failure: sample: .*CUDA out of memory/)
      assert.match(lines[1]!, /^Sampling from sampler is waiting: .*CUDA out of memory/)
    })
  )

  it.scoped("of which one was throttled again and again leave no state behind once it is accepted", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/create_sampling_session": json({ sampling_session_id: "sampler" }),
        "/asample": times(6, errorResponse(429, { "retry-after": "1" }), json({ request_id: "Sample" })),
        // in the form in which the first poll brings it
        "/retrieve_future": ScriptedHttpClient.bytes(Either.getOrThrow(ProtobufCodec.encodeSampleResponse(sampled)), {
          headers: { "content-type": ProtobufCodec.contentType }
        })
      })
      const { lines, value } = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: "base" })
        const sample = yield* Effect.fork(sampling.sample(prompt, { sampling_params: { max_tokens: 1 } }))
        yield* TestClock.adjust("5 seconds")
        const during = yield* sampling.queueState.current
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(sample)
        return [during.state, (yield* sampling.queueState.current).state]
      }).pipe(Effect.provide(connect(http, { way })), withWarnings)
      assert.deepStrictEqual(value, ["retrying", "active"])
      assert.strictEqual(lines.length, 2, lines.join("\n"))
    })
  )

  it.scoped("that are given up leave no state behind", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/create_sampling_session": json({ sampling_session_id: "sampler" }),
        "/asample": outOfMemory
      })
      const state = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: "base" })
        const sample = yield* Effect.fork(sampling.sample(prompt, { sampling_params: { max_tokens: 1 } }))
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* sampling.queueState.current).state, "retrying")
        yield* Fiber.interrupt(sample)
        return yield* sampling.queueState.current
      }).pipe(Effect.provide(connect(http, { way })), withWarnings)
      assert.strictEqual(state.value.state, "active")
    })
  )
})

describe("a result that cannot be fetched", () => {
  const fetchedAfter = (count: number, step: ScriptedHttpClient.Step) =>
    withWarnings(
      run({ "/retrieve_future": [results, ...times(count, step, results)] }, (training) =>
        statesDuring(
          training.queueState,
          Effect.flatMap(training.optimStep(), (future) => settle(future))
        )
      )
    )

  it.scoped("shows the error that comes again and again, and then that it is active", () =>
    Effect.gen(function* () {
      const { lines, value } = yield* fetchedAfter(6, outOfMemory)
      assert.isTrue(Exit.isSuccess(value.value.value))
      assert.deepStrictEqual(
        value.value.states.map(({ state }) => state),
        ["active", "retrying", "active"]
      )
      assert.strictEqual(lines.length, 2, lines.join("\n"))
    })
  )

  it.scoped("because the service holds polls for longer than the client waits gives no warning at first", () =>
    Effect.gen(function* () {
      const { lines, value } = yield* fetchedAfter(4, ScriptedHttpClient.silence)
      assert.isTrue(Exit.isSuccess(value.value.value))
      assert.deepStrictEqual(lines, [])
    })
  )
})

describe("one poll for all samples", () => {
  it.scoped("shows its failures in the queue state of the sampler", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({
        "/client/config": json({ sample_use_retrieve_futures: true }),
        "/create_sampling_session": json({ sampling_session_id: "sampler" }),
        "/asample": json({ request_id: "Sample" }),
        "/retrieve_futures": times(
          6,
          outOfMemory,
          json({ completions: [{ state: "finished", request_id: "Sample" }], cursor: 1 })
        )
      })
      const states = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const sampling = yield* service.createSamplingClient({ base_model: "base" })
        const sample = yield* Effect.fork(sampling.sample(prompt, { sampling_params: { max_tokens: 1 } }))
        const seen = yield* Effect.fork(sampling.queueState.changes.pipe(Stream.take(3), Stream.runCollect))
        yield* TestClock.adjust("5 minutes")
        yield* Fiber.join(sample)
        return Chunk.toReadonlyArray(yield* Fiber.join(seen))
      }).pipe(Effect.provide(connect(http)), withWarnings)
      assert.deepStrictEqual(
        states.value.map(({ state }) => state),
        ["active", "retrying", "active"]
      )
    })
  )
})

describe("a sampler that cannot be created", () => {
  const lacking = "Sampler load_weights failed: 'sessions/model-1/checkpoints/a/lora_weights.pt'"
  const path = "tinker://model-1/sampler_weights/a"

  const create = (http: { readonly layer: Layer.Layer<HttpClient.HttpClient> }) =>
    Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const creating = yield* Effect.fork(service.createSamplingClient({ model_path: path }))
      yield* TestClock.adjust("1 minutes")
      const early = yield* Fiber.poll(creating)
      yield* TestClock.adjust("10 minutes")
      return { early, exit: yield* Fiber.await(creating) }
    }).pipe(Effect.provide(connect(http)), withWarnings)

  for (const detail of [
    lacking,
    "checkpoint a does not exist",
    "Model init failed: [Errno 2] No such file or directory"
  ]) {
    it.scoped(`because "${detail}" fails after the same answer five times`, () =>
      Effect.gen(function* () {
        const http = yield* scripted.make({ "/create_sampling_session": errorResponse(500, {}, { detail }) })
        const { value } = yield* create(http)
        assert.isTrue(Option.isSome(value.early), "it still waits")
        const error = failureOf(value.exit)
        assert.strictEqual(error?._tag, "ServerError")
        assert.include(error!.message, detail)
        assert.include(error!.message, "tried 5 times")
        assert.isFalse(error!.isRetryable)
        assert.strictEqual((yield* http.requestsTo("/create_sampling_session")).length, 5)
      })
    )
  }

  it.scoped("is tried for as long as the policy says where the error may pass, and says so", () =>
    Effect.gen(function* () {
      const http = yield* scripted.make({ "/create_sampling_session": outOfMemory })
      const { lines, value } = yield* create(http)
      assert.isTrue(Option.isNone(value.early), "it gave up within a minute")
      assert.strictEqual(failureOf(value.exit)?._tag, "ServerError")
      assert.match(lines[0]!, /^retrying after a failure: createSamplingClient: .*CUDA out of memory/)
      assert.match(lines[1]!, /^Creation of a sampler from tinker:\/\/model-1\/sampler_weights\/a is waiting: .*CUDA/)
    })
  )

  it.scoped("at first, because the service did not find what was just saved, is created when it does", () =>
    Effect.gen(function* () {
      const missing = errorResponse(500, {}, { detail: lacking })
      const http = yield* scripted.make({
        "/create_sampling_session": times(4, missing, json({ sampling_session_id: "sampler" }))
      })
      const { value } = yield* create(http)
      assert.isTrue(Exit.isSuccess(value.exit))
    })
  )

  it.scoped("is tried again where the service asks for that, whatever its text", () =>
    Effect.gen(function* () {
      const wanted = errorResponse(500, { "x-should-retry": "true" }, { detail: lacking })
      const http = yield* scripted.make({
        "/create_sampling_session": times(8, wanted, json({ sampling_session_id: "sampler" }))
      })
      const { value } = yield* create(http)
      assert.isTrue(Exit.isSuccess(value.exit))
    })
  )

  it.scoped("is a model's case as well", () =>
    Effect.gen(function* () {
      const detail = "Model init failed: base/model does not exist"
      const http = yield* scripted.make({ "/create_model": errorResponse(500, {}, { detail }) })
      const exit = yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const creating = yield* Effect.fork(Effect.scoped(service.createLoraTrainingClient({ base_model: "base" })))
        yield* TestClock.adjust("1 minutes")
        assert.isTrue(Option.isSome(yield* Fiber.poll(creating)), "it still waits")
        return yield* Fiber.await(creating)
      }).pipe(Effect.provide(connect(http)), withWarnings)
      assert.include(failureOf(exit.value)?.message, "tried 5 times")
    })
  )
})
