import * as Datum from "@effect-tinker/api/Datum"
import * as ModelInput from "@effect-tinker/api/ModelInput"
import * as RestClient from "@effect-tinker/client/RestClient"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import {
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  MetricState,
  Option,
  Redacted,
  type Scope,
  TestClock,
  Tracer
} from "effect"
import * as operations from "../utils/operations.ts"
import { baseUrl, connect, json, key, scripted, ways } from "../utils/services.ts"

interface Ended {
  readonly name: string
  readonly parent: string | undefined
  readonly attributes: Record<string, unknown>
  readonly events: ReadonlyArray<string>
  readonly seconds: number
  readonly success: boolean
}

/** A tracer that keeps the spans that ended. */
const recorder = () => {
  const ended: Array<Ended> = []
  let open = 0
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const events: Array<string> = []
      open++
      let status: Tracer.SpanStatus = { _tag: "Started", startTime }
      return {
        _tag: "Span",
        name,
        spanId: `${name}-${startTime}`,
        traceId: "trace",
        parent,
        context,
        get status() {
          return status
        },
        attributes,
        links,
        sampled: true,
        kind,
        attribute: (key, value) => void attributes.set(key, value),
        event: (name) => void events.push(name),
        addLinks: () => undefined,
        end: (endTime, exit) => {
          open--
          status = { _tag: "Ended", startTime, endTime, exit }
          ended.push({
            name,
            parent: Option.match(parent, {
              onNone: () => undefined,
              onSome: (span) => (span._tag === "Span" ? span.name : "external")
            }),
            attributes: Object.fromEntries(attributes),
            events,
            seconds: Number(endTime - startTime) / 1e9,
            success: Exit.isSuccess(exit)
          })
        }
      }
    },
    context: (f) => f()
  })
  return { ended, open: () => open, layer: Effect.withTracer(tracer) }
}

const figures = Effect.map(Metric.snapshot, (pairs) => {
  const found: Record<string, number> = {}
  for (const { metricKey, metricState } of pairs) {
    if (!metricKey.name.startsWith("tinker.client.")) continue
    const tags = metricKey.tags.flatMap(({ key, value }) => (key === "unit" ? [] : [value])).toSorted()
    const key = [metricKey.name.slice("tinker.client.".length), ...tags].join(" ")
    found[key] =
      MetricState.isCounterState(metricState) || MetricState.isHistogramState(metricState)
        ? Number(metricState.count)
        : MetricState.isGaugeState(metricState)
          ? Number(metricState.value)
          : Number.NaN
  }
  return found
})

const datum = Datum.fromPromptCompletion([1, 2], [3])

describe.each(ways)("a client over %s", (way) => {
  describe("an operation", () => {
    it.scoped("has one span, from its call to its result", () =>
      Effect.gen(function* () {
        const { ended, layer, open } = recorder()
        const before = yield* figures
        const http = yield* scripted.make({
          "/create_sampling_session": json({ sampling_session_id: "sampler" }),
          "/optim_step": [json({}, { status: 500 }), json({ request_id: "OptimStep" })],
          "/retrieve_future": (request) => {
            const id = (request.body as { request_id: string }).request_id
            const iteration = request.headers["x-tinker-request-iteration"]
            if (id === "CreateModel") return json({ model_id: "model-1" })
            if (id.startsWith("ForwardBackward")) {
              return json({ loss_fn_output_type: "ArrayRecord", loss_fn_outputs: [{}], metrics: {} })
            }
            if (id === "Sample") return json({ error: "odd", category: "server" })
            return iteration === "0"
              ? ScriptedHttpClient.after("20 seconds", json({ type: "try_again", queue_state: "paused_capacity" }))
              : json({ metrics: {} })
          }
        })
        const during = yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({ base_model: "base" })
          const [pass, step] = yield* Effect.all([
            training.forwardBackward([datum], "cross_entropy"),
            training.optimStep()
          ]).pipe(Effect.withSpan("epoch"))
          yield* TestClock.adjust("10 seconds")
          const during = yield* figures
          yield* TestClock.adjust("15 seconds")
          yield* Effect.all([Fiber.join(pass), Fiber.join(step)])
          const sampling = yield* service.createSamplingClient({ base_model: "base" })
          yield* Effect.exit(sampling.sample(ModelInput.fromTokens([1, 2, 3])))
          // it has no response, and ends with the scope
          return during
        }).pipe(Effect.scoped, Effect.provide(connect(http, { way })), layer)

        const of = (name: string) => ended.filter((span) => span.name === name)
        const [step] = of("TrainingClient.optimStep")
        assert.strictEqual(of("TrainingClient.optimStep").length, 1)
        assert.strictEqual(step!.parent, "epoch")
        assert.isTrue(step!.success)
        assert.isTrue(step!.seconds > 20, `${step!.seconds} s`)
        assert.deepInclude(step!.attributes, {
          "tinker.model_id": "model-1",
          "tinker.seq_id": 2,
          "tinker.seq_id_count": 1,
          "tinker.outcome": "success",
          "tinker.request_id": "OptimStep",
          "tinker.polls": 2,
          "tinker.retries": 1
        })
        // log lines are events as well
        assert.deepStrictEqual(
          step!.events.filter((name) => name.startsWith("tinker.")),
          ["tinker.retry", "tinker.poll"]
        )
        const queued = step!.attributes["tinker.queue_seconds"] as number
        assert.isTrue(queued > 0.3 && queued < 1, `${queued}`)
        const [pass] = of("TrainingClient.forwardBackward")
        assert.deepInclude(pass!.attributes, {
          "tinker.seq_id": 1,
          "tinker.bytes": 8 + 16 + 8,
          "gen_ai.operation.name": "forward_backward",
          "gen_ai.usage.input_tokens": 2
        })
        const [sample] = of("SamplingClient.sample")
        assert.isFalse(sample!.success)
        assert.deepInclude(sample!.attributes, {
          "tinker.sampling_session_id": "sampler",
          "tinker.bytes": 30,
          "gen_ai.operation.name": "text_completion",
          "gen_ai.request.model": "base",
          "gen_ai.usage.input_tokens": 3,
          "tinker.outcome": "failure"
        })
        assert.strictEqual(of("ServiceClient.createLoraTrainingClient").length, 1)
        assert.strictEqual(open(), 0, "every span has ended")

        const after = yield* figures
        const grown = (key: string, from = before, to = after) => (to[key] ?? 0) - (from[key] ?? 0)
        assert.strictEqual(grown("operations TrainingClient.optimStep success"), 1)
        assert.strictEqual(grown("operations SamplingClient.sample failure"), 1)
        assert.strictEqual(grown("failures RequestFailed SamplingClient.sample"), 1)
        assert.strictEqual(grown("polls TrainingClient.optimStep"), 2)
        assert.strictEqual(grown("retries TrainingClient.optimStep"), 1)
        assert.strictEqual(grown("duration TrainingClient.optimStep"), 1)
        assert.strictEqual(grown("queue_time TrainingClient.optimStep"), 1)
        assert.strictEqual(grown("in_flight TrainingClient.optimStep", before, during), 1)
        assert.strictEqual(grown("in_flight TrainingClient.optimStep"), 0)
        assert.strictEqual(grown("queue_state paused_capacity"), 0, "nothing is held up any more")
      })
    )

    it.scoped("that fails at its input has a span and counts too, and its error points at the call", () =>
      Effect.gen(function* () {
        const { ended, layer, open } = recorder()
        const before = yield* figures
        const http = yield* scripted.make({
          "/create_sampling_session": json({ sampling_session_id: "sampler" }),
          "/retrieve_future": json({ model_id: "model-1" })
        })
        const errors = yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({ base_model: "base" })
          const sampling = yield* service.createSamplingClient({ base_model: "base" })
          return [
            yield* Effect.flip(training.forwardBackward([], "cross_entropy")),
            yield* Effect.flip(training.saveState("a/b")),
            yield* Effect.flip(service.createSamplingClient({ base_model: " " })),
            yield* Effect.flip(service.createLoraTrainingClient({ base_model: "base", rank: -1 })),
            yield* Effect.flip(
              sampling.sample(ModelInput.fromTokens([1]), { num_samples: 0, sampling_params: { max_tokens: 1 } })
            )
          ]
        }).pipe(Effect.scoped, Effect.provide(connect(http, { way })), layer)
        const after = yield* figures
        for (const error of errors) {
          assert.strictEqual(error._tag, "InvalidInput")
          const [first, second] = error.stack!.split("\n").filter((line) => /^\s+at /.test(line))
          assert.include(first, "observability.test.ts", second)
        }
        const names = [
          "TrainingClient.forwardBackward",
          "TrainingClient.saveState",
          "ServiceClient.createSamplingClient",
          "ServiceClient.createLoraTrainingClient",
          "SamplingClient.sample"
        ]
        for (const name of names) {
          const key = `operations ${name} failure`
          assert.strictEqual((after[key] ?? 0) - (before[key] ?? 0), 1, name)
          assert.strictEqual(ended.filter((span) => span.name === name && !span.success).length, 1, name)
        }
        assert.strictEqual(open(), 0)
      })
    )

    it.scoped("of any kind has a span and counts when the service rejects it", () =>
      Effect.gen(function* () {
        const { ended, layer } = recorder()
        const before = yield* figures
        const rejected = json({ detail: "no" }, { status: 400 })
        const http = yield* scripted.make({
          "/create_sampling_session": json({ sampling_session_id: "sampler" }),
          "/retrieve_future": json({ model_id: "model-1" }),
          "/weights_info": rejected,
          "/get_server_capabilities": rejected,
          "/get_info": rejected,
          "/samplers/sampler": rejected
        })
        const path = "tinker://run/weights/0001"
        const names = yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({ base_model: "base" })
          const sampling = yield* service.createSamplingClient({ base_model: "base" })
          const operations: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, Scope.Scope>]> = [
            ["ServiceClient.getServerCapabilities", service.getServerCapabilities],
            ["ServiceClient.createTrainingClientFromState", service.createTrainingClientFromState(path)],
            [
              "ServiceClient.createTrainingClientFromStateWithOptimizer",
              service.createTrainingClientFromStateWithOptimizer(path)
            ],
            ["TrainingClient.getInfo", training.getInfo],
            ["SamplingClient.getBaseModel", sampling.getBaseModel]
          ]
          for (const [, operation] of operations) yield* Effect.flip(operation)
          return operations.map(([name]) => name)
        }).pipe(Effect.scoped, Effect.provide(connect(http, { way })), layer)
        const after = yield* figures
        for (const name of names) {
          const key = `operations ${name} failure`
          assert.strictEqual((after[key] ?? 0) - (before[key] ?? 0), 1, name)
          assert.strictEqual(ended.filter((span) => span.name === name && !span.success).length, 1, name)
        }
      })
    )

    // the exchange of callbacks of these tests makes its requests by an HttpClient of its own
    for (const httpSpans of way === "any HttpClient" ? [false, true] : [true]) {
      it.scoped(`has ${httpSpans ? "spans" : "no span"} of its requests, but none of its polls`, () =>
        Effect.gen(function* () {
          const { ended, layer } = recorder()
          const http = yield* scripted.make({
            "/retrieve_future": (request) =>
              json(
                (request.body as { request_id: string }).request_id === "CreateModel"
                  ? { model_id: "m" }
                  : { metrics: {} }
              )
          })
          yield* Effect.gen(function* () {
            const service = yield* ServiceClient.ServiceClient
            const training = yield* service.createLoraTrainingClient({ base_model: "base" })
            yield* Fiber.join(yield* training.optimStep())
            yield* TestClock.adjust("1 minute")
          }).pipe(Effect.scoped, Effect.provide(connect(http, { way, httpSpans })), layer, Effect.withSpan("program"))
          const parents = ended.filter(({ name }) => name.startsWith("http.client")).map(({ parent }) => parent)
          const traced = (yield* http.requests).filter(({ headers }) => headers["traceparent"] !== undefined)
          assert.isAbove(traced.length, 2)
          assert.strictEqual(parents.length, httpSpans ? traced.length : 0)
          if (httpSpans) assert.includeMembers(parents, ["TrainingClient.optimStep"])
        })
      )
    }

    it.scoped("ends its span when the scope of its client closes", () =>
      Effect.gen(function* () {
        const { ended, layer, open } = recorder()
        const http = yield* scripted.make({
          "/retrieve_future": [
            json({ model_id: "model-1" }),
            ScriptedHttpClient.after("20 seconds", json({ type: "try_again", queue_state: "paused_capacity" }))
          ]
        })
        const before = yield* figures
        const held = yield* Effect.gen(function* () {
          const service = yield* ServiceClient.ServiceClient
          const training = yield* service.createLoraTrainingClient({ base_model: "base" })
          yield* training.optimStep()
          yield* training.optimStep()
          yield* TestClock.adjust("21 seconds")
          return yield* figures
        }).pipe(Effect.scoped, Effect.provide(connect(http, { way })), layer)
        const after = yield* figures
        assert.strictEqual(held["queue_state paused_capacity"]! - (before["queue_state paused_capacity"] ?? 0), 1)
        assert.strictEqual(after["queue_state paused_capacity"]! - (before["queue_state paused_capacity"] ?? 0), 0)
        assert.strictEqual(open(), 0)
        assert.strictEqual(ended.filter(({ name }) => name === "TrainingClient.optimStep").length, 2)
        assert.strictEqual(after["in_flight TrainingClient.optimStep"], before["in_flight TrainingClient.optimStep"])
      })
    )
  })
})

describe("each public operation of the clients", () => {
  /** A service that starts all clients, and then rejects every request. */
  const startAll = Effect.gen(function* () {
    const responses: Record<string, unknown> = {
      "/client/config": { sample_streams: true },
      "/create_session": { session_id: "session-1" },
      "/create_model": { request_id: "CreateModel" },
      "/retrieve_future": { model_id: "model-1" },
      "/create_sampling_session": { sampling_session_id: "sampler" }
    }
    const service = { isUp: true }
    const http = yield* ScriptedHttpClient.make({
      "*": ({ path }) => (service.isUp ? json(responses[path] ?? {}) : json({ detail: "no" }, { status: 400 }))
    })
    const clients = Layer.merge(
      connect(http),
      RestClient.layer({ apiKey: Redacted.make(key), baseUrl }).pipe(Layer.provide(http.layer))
    )
    return { service, clients }
  })

  it.scoped("has a span and counts, when the service rejects it and when its input is invalid", () =>
    Effect.gen(function* () {
      const { clients, service: remote } = yield* startAll
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const training = yield* service.createLoraTrainingClient({ base_model: "base" })
        const sampling = yield* service.createSamplingClient({ base_model: "base" })
        const all = Object.entries({
          ServiceClient: operations.ofService(service),
          TrainingClient: operations.ofTraining(training),
          SamplingClient: operations.ofSampling(sampling),
          RestClient: operations.ofRest(yield* RestClient.RestClient)
        }).flatMap(([client, cases]) =>
          Object.entries(cases).map(([method, { invalid, rejected }]) => ({
            // one that creates a client is one operation, wherever it is called
            name: method === "createSamplingClient" ? `ServiceClient.${method}` : `${client}.${method}`,
            rejected,
            invalid
          }))
        )
        remote.isUp = false
        for (const way of ["rejected", "invalid"] as const) {
          for (const { name, [way]: run } of all) {
            if (run === "none") continue
            const { ended, layer, open } = recorder()
            const before = yield* figures
            const error = yield* Effect.flip(layer(Effect.scoped(run)))
            const after = yield* figures
            const what = `${name}, ${way}: ${String(error)}`
            if (way === "invalid") assert.propertyVal(error, "_tag", "InvalidInput", what)
            const count = `operations ${name} failure`
            assert.strictEqual((after[count] ?? 0) - (before[count] ?? 0), 1, what)
            assert.strictEqual(after[`in_flight ${name}`], before[`in_flight ${name}`] ?? 0, what)
            assert.strictEqual(ended.filter((span) => span.name === name && !span.success).length, 1, what)
            assert.strictEqual(open(), 0, what)
          }
        }
      }).pipe(Effect.scoped, Effect.provide(clients))
    })
  )
})
