import * as Datum from "@effect-tinker/api/Datum"
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import * as Pipeline from "@effect-tinker/client/Pipeline"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as Engine from "@effect-tinker/server/Engine"
import * as Fault from "@effect-tinker/testing/Fault"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import * as Simulator from "@effect-tinker/testing/Simulator"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as TestServer from "@effect-tinker/testing/TestServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope, Stream, TestClock } from "effect"
import { bodyOf, failureOf } from "../utils/exits.ts"
import { connect, json } from "../utils/services.ts"
import { errorResponse, results, run, seqIds, settle } from "../utils/trainingRun.ts"

const datum = Datum.fromPromptCompletion([1, 2], [3])
const other = Datum.fromPromptCompletion([4, 5], [6])

type Error = TinkerError.TinkerError
type Future<A = unknown> = Fiber.Fiber<A, Error>

const pass = (training: TrainingClient.TrainingClient) => training.forwardBackward([datum], "cross_entropy")

/** The errors of futures; `undefined` for those that succeed. */
const errorsOf = (futures: ReadonlyArray<Future>) =>
  Effect.map(Effect.forEach(futures, Fiber.await), (exits) => exits.map((exit) => failureOf(exit)))

const tagsOf = (futures: ReadonlyArray<Future>) =>
  Effect.map(errorsOf(futures), (errors) => errors.map((error) => error?._tag))

/** Responds with an error to the requests of these sequence numbers, and accepts all others. */
const refusing =
  (
    refused: ReadonlyArray<number>,
    response = errorResponse(403, { "x-request-id": "req-9" })
  ): ScriptedHttpClient.Step =>
  (request) => {
    const seqId = bodyOf(request)["seq_id"] as number
    return refused.includes(seqId) ? response : json({ request_id: `ForwardBackward:${seqId}` })
  }

describe("a forward/backward pass that the service rejects", () => {
  it.scoped("fails alone with the step behind it, and the client goes on with the next sequence number", () =>
    Effect.gen(function* () {
      const { http } = yield* run({ "/forward_backward": refusing([1]) }, (training) =>
        Effect.gen(function* () {
          const forward = yield* pass(training)
          const update = yield* training.optimStep()
          const saved = yield* training.saveState("a")
          const [refused, behind, save] = yield* errorsOf([forward, update, saved])
          assert.strictEqual(refused?._tag, "PermissionDenied")
          assert.strictEqual(behind?._tag, "StepRefused")
          assert.include(behind!.message, "optimStep was not sent: forwardBackward (seq_id 1)")
          assert.include(String(behind!.cause), "req-9")
          assert.isUndefined(save)
          const again = [yield* pass(training), yield* training.optimStep()]
          assert.deepStrictEqual(yield* tagsOf(again), [undefined, undefined])
          assert.deepStrictEqual([forward.seqIds, update.seqIds, saved.seqIds], [[1], [], [2]])
        })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 3])
      assert.deepStrictEqual(yield* seqIds(http, "/save_weights"), [2])
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [4])
    })
  )

  it.scoped("does not stop the steps that were submitted behind its own", () =>
    Effect.gen(function* () {
      const { http } = yield* run({ "/forward_backward": refusing([1]) }, (training) =>
        Effect.gen(function* () {
          const futures: Array<Future> = []
          for (let i = 0; i < 3; i++) futures.push(yield* pass(training), yield* training.optimStep())
          assert.deepStrictEqual(yield* tagsOf(futures), [
            "PermissionDenied",
            "StepRefused",
            undefined,
            undefined,
            undefined,
            undefined
          ])
        })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 2, 4])
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [3, 5])
    })
  )

  it.scoped("fails what a program that has not looked at it calls later, up to the end of the step", () =>
    Effect.gen(function* () {
      const { http } = yield* run({ "/forward_backward": refusing([1]) }, (training) =>
        Effect.gen(function* () {
          const first = yield* pass(training)
          yield* TestClock.adjust("1 minute")
          // the pass has failed by now, and nobody has seen it
          const second = yield* pass(training)
          const update = yield* training.optimStep()
          yield* TestClock.adjust("1 minute")
          const next = [yield* pass(training), yield* training.optimStep()]
          assert.deepStrictEqual(yield* tagsOf([...next, first, second, update]), [
            undefined,
            undefined,
            "PermissionDenied",
            "StepRefused",
            "StepRefused"
          ])
        })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 2])
    })
  )

  it.scoped("leaves a partial gradient if another pass of its step was accepted: no step is applied any more", () =>
    Effect.gen(function* () {
      const { http } = yield* run({ "/forward_backward": refusing([2]) }, (training) =>
        Effect.gen(function* () {
          const futures = [yield* pass(training), yield* pass(training), yield* training.optimStep()]
          const errors = yield* errorsOf(futures)
          assert.deepStrictEqual(
            errors.map((error) => error?._tag),
            [undefined, "PermissionDenied", "PartialGradient"]
          )
          assert.include(errors[2]!.message, "forwardBackward (seq_id 2)")
          assert.include(errors[2]!.message, "createTrainingClientFromStateWithOptimizer")
          const later = [
            yield* pass(training),
            yield* training.optimStep(),
            yield* training.saveState("a"),
            yield* training.saveWeightsForSampler("b"),
            yield* training.forward([datum], "cross_entropy")
          ]
          assert.deepStrictEqual(yield* tagsOf(later), [
            "PartialGradient",
            "PartialGradient",
            undefined,
            undefined,
            undefined
          ])
        })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 2, 5])
      assert.strictEqual((yield* http.requestsTo("/optim_step")).length, 0)
    })
  )

  for (const [detail, status, tag] of [
    ["Loss function nope not found.", 404, undefined],
    ["Not Found", 404, undefined],
    ["there is no operation of this kind", 501, undefined],
    ["payload too large", 413, undefined],
    ["there is no model model-1", 404, "ClientBroken"],
    ["gone", 410, "ClientBroken"],
    ["too early", 425, "ClientBroken"]
  ] as const) {
    it.scoped(
      `${tag === undefined ? "leaves the client usable" : "breaks the client"} after ${status} "${detail}"`,
      () =>
        Effect.gen(function* () {
          const { value } = yield* run(
            { "/forward_backward": refusing([1], errorResponse(status, {}, { detail })) },
            (training) =>
              Effect.gen(function* () {
                yield* settle(yield* pass(training))
                return yield* tagsOf([yield* pass(training)])
              })
          )
          assert.deepStrictEqual(value, [tag])
        })
    )
  }
})

describe("a custom loss that fails", () => {
  it.scoped("fails the step behind it, which would lack its gradient", () =>
    Effect.gen(function* () {
      const { http } = yield* run({}, (training) =>
        Effect.gen(function* () {
          const own = yield* training.forwardBackwardCustom([datum], () => ({ loss: Number.NaN, gradients: [] }))
          const update = yield* training.optimStep()
          const saved = yield* training.saveState("a")
          assert.deepStrictEqual(yield* tagsOf([own, update, saved]), ["LossFailed", "StepRefused", undefined])
        })
      )
      assert.strictEqual((yield* http.requestsTo("/optim_step")).length, 0)
    })
  )
})

describe("an optimizer step that the service rejects", () => {
  it.scoped("can be called again, and until then no other gradient is added to that of its step", () =>
    Effect.gen(function* () {
      const { http } = yield* run(
        { "/optim_step": [errorResponse(422), json({ request_id: "OptimStep" })] },
        (training) =>
          Effect.gen(function* () {
            const futures = [yield* pass(training), yield* training.optimStep({ learning_rate: 1e9 })]
            futures.push(yield* pass(training), yield* training.optimStep())
            const errors = yield* errorsOf(futures)
            assert.deepStrictEqual(
              errors.map((error) => error?._tag),
              [undefined, "BadRequest", "StepRefused", "StepRefused"]
            )
            assert.include(errors[2]!.message, "optimStep (seq_id 2)")
            assert.include(errors[2]!.message, "Call the optimizer step again")
            // a step behind a pass that is not sent would lack its gradient
            const unaware = [yield* pass(training), yield* training.optimStep()]
            assert.deepStrictEqual(yield* tagsOf(unaware), ["StepRefused", "StepRefused"])
            const added = yield* pass(training)
            assert.deepStrictEqual(yield* tagsOf([added]), ["StepRefused"])
            const again = [yield* training.optimStep(), yield* pass(training), yield* training.optimStep()]
            assert.deepStrictEqual(yield* tagsOf(again), [undefined, undefined, undefined])
          })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 4])
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [2, 3, 5])
    })
  )
})

describe("a load that the service rejects", () => {
  it.scoped("fails everything that was called in the belief that it would succeed, also saves", () =>
    Effect.gen(function* () {
      const { http } = yield* run(
        { "/load_weights": errorResponse(404, {}, { detail: "no such checkpoint" }) },
        (training) =>
          Effect.gen(function* () {
            const futures: Array<Future> = [yield* training.loadState("tinker://run/weights/a")]
            futures.push(yield* pass(training), yield* training.optimStep(), yield* training.saveState("a"))
            assert.deepStrictEqual(yield* tagsOf(futures), ["NotFound", "StepRefused", "StepRefused", "StepRefused"])
            const next = [yield* pass(training), yield* training.optimStep(), yield* training.saveState("a")]
            assert.deepStrictEqual(yield* tagsOf(next), [undefined, undefined, undefined])
          })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/save_weights"), [4])
    })
  )
})

describe("a 409 that names the expected sequence number", () => {
  const conflict = (expected: number, got: number) =>
    errorResponse(
      409,
      { "x-should-retry": "false" },
      { detail: `Sequence conflict: expected ${expected}, got ${got}.` }
    )

  it.scoped("is not obeyed if a request with that number was accepted before", () =>
    Effect.gen(function* () {
      const { http, value } = yield* run(
        {
          "/forward_backward": refusing([1]),
          "/optim_step": (request) => {
            const seqId = bodyOf(request)["seq_id"] as number
            return seqId === 3 ? conflict(2, 3) : json({ request_id: "OptimStep" })
          }
        },
        (training) =>
          Effect.gen(function* () {
            yield* Fiber.await(yield* pass(training))
            yield* Fiber.await(yield* training.forward([datum], "cross_entropy"))
            const futures = [yield* training.optimStep(), yield* training.saveState("a")]
            return [yield* tagsOf(futures), futures.map((future) => (future as { seqIds?: unknown }).seqIds)]
          })
      )
      assert.deepStrictEqual(value, [
        ["Conflict", undefined],
        [[3], [3]]
      ])
      assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [3])
    })
  )

  it.scoped("is obeyed once, and the numbers behind it follow", () =>
    Effect.gen(function* () {
      const expecting = { next: 1 }
      const strict: ScriptedHttpClient.Step = (request) => {
        const seqId = bodyOf(request)["seq_id"] as number
        if (seqId !== expecting.next) return conflict(expecting.next, seqId)
        if (bodyOf(request)["path"] === "bad") return errorResponse(400)
        expecting.next++
        return json({ request_id: request.path.includes("save") ? "SaveWeights" : `ForwardBackward:${seqId}` })
      }
      const script = { "/forward_backward": strict, "/optim_step": strict, "/save_weights": strict }
      const { http } = yield* run({ ...script, "/client/config": json({ fwdbwd_max_chunk_len: 1 }) }, (training) =>
        Effect.gen(function* () {
          const futures: Array<Future> = [yield* training.saveState("bad")]
          for (let i = 0; i < 2; i++) futures.push(yield* pass(training), yield* training.optimStep())
          futures.push(yield* training.forwardBackward([datum, datum, datum], "cross_entropy"))
          futures.push(yield* training.saveState("good"))
          assert.deepStrictEqual(yield* tagsOf(futures), ["BadRequest", ...Array.from({ length: 6 }, () => undefined)])
        })
      )
      assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [2, 1, 3, 6, 7, 5, 6, 7])
      assert.deepStrictEqual((yield* seqIds(http, "/save_weights")).at(-1), 8)
    })
  )

  it.scoped("leaves doubt where an earlier attempt may be what took the number, and where it comes twice", () =>
    Effect.gen(function* () {
      const lost = yield* run(
        { "/forward_backward": [ScriptedHttpClient.connectionLost, conflict(2, 1), json({ request_id: "x" })] },
        (training) =>
          Effect.gen(function* () {
            yield* settle(yield* pass(training))
            return yield* tagsOf([yield* pass(training)])
          })
      )
      assert.deepStrictEqual(lost.value, ["ClientBroken"])
      assert.deepStrictEqual(yield* seqIds(lost.http, "/forward_backward"), [1, 1])
      const twice = yield* run(
        { "/forward_backward": [conflict(5, 1), conflict(7, 5), json({ request_id: "x" })] },
        (training) =>
          Effect.gen(function* () {
            return yield* tagsOf([yield* pass(training), yield* pass(training)])
          })
      )
      assert.deepStrictEqual(twice.value, ["Conflict", "ClientBroken"])
      assert.deepStrictEqual(yield* seqIds(twice.http, "/forward_backward"), [1, 5])
    })
  )
})

const noRetries = RetryPolicy.withRetryPolicy(RetryPolicy.never)

/** Runs a program against the simulated service, with faults. */
const simulate = <A, E>(
  options: Simulator.Options,
  program: (
    training: TrainingClient.TrainingClient,
    service: ServiceClient.Service,
    simulator: Simulator.Simulator
  ) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const simulator = yield* Simulator.make(options)
    return yield* Effect.gen(function* () {
      const service = yield* ServiceClient.ServiceClient
      const training = yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, seed: 1 })
      return yield* program(training, service, simulator)
    }).pipe(Effect.scoped, Effect.provide(connect({ layer: simulator.layer }, { baseUrl: "http://simulated.test" })))
  }).pipe(Effect.scoped)

const trainOn = (training: TrainingClient.TrainingClient, data: ReadonlyArray<Datum.For<"cross_entropy">>) =>
  Effect.gen(function* () {
    const forward = yield* training.forwardBackward(data, "cross_entropy")
    const update = yield* training.optimStep({ learning_rate: 0.1 })
    yield* Fiber.join(update)
    return (yield* Fiber.join(forward)).metrics["loss:sum"]!
  })

const typesOf = (applied: ReadonlyArray<Simulator.Applied>) => applied.map(({ seq_id, type }) => [type, seq_id])

describe("the simulated service", () => {
  const chunked: Simulator.Options = { server: { clientConfig: { fwdbwd_max_chunk_len: 1 } } }

  it.scoped("holds a partial gradient if the second of three chunks is refused: training goes on in a new client", () =>
    Effect.gen(function* () {
      const expected = yield* simulate(chunked, (training) =>
        Effect.forEach([[datum], [other]], (data) => trainOn(training, data))
      )
      const faults = [Fault.on("forward_backward").nth(2).respond(422)]
      yield* simulate({ ...chunked, faults }, (training, service) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* trainOn(training, [datum]), expected[0])
          const futures = [
            yield* training.forwardBackward([datum, other, datum], "cross_entropy"),
            yield* training.optimStep({ learning_rate: 0.1 })
          ]
          assert.deepStrictEqual(yield* tagsOf(futures), ["BadRequest", "PartialGradient"])
          for (let i = 0; i < 2; i++) {
            assert.deepStrictEqual(yield* tagsOf([yield* training.optimStep()]), ["PartialGradient"])
          }
          const [state, sampler] = yield* Effect.all([
            Effect.flatten(training.saveState("a")),
            training.saveWeightsAndGetSamplingClient()
          ])
          const sampled = yield* sampler.sample(datum.model_input, { sampling_params: { max_tokens: 2 } })
          assert.strictEqual(sampled.sequences[0]!.tokens.length, 2)
          const resumed = yield* service.createTrainingClientFromStateWithOptimizer(state.path)
          assert.strictEqual(yield* trainOn(resumed, [other]), expected[1])
        })
      )
    })
  )

  it.scoped("holds nothing of a step all of whose chunks are refused, and the step can be submitted again", () =>
    Effect.gen(function* () {
      yield* simulate(chunked, (training, _, simulator) =>
        Effect.gen(function* () {
          const bad = yield* training.forwardBackward([datum, datum, datum], "nope" as "cross_entropy")
          const update = yield* training.optimStep()
          assert.deepStrictEqual(yield* tagsOf([bad, update]), ["BadRequest", "StepRefused"])
          yield* trainOn(training, [datum, other])
          assert.deepStrictEqual(typesOf(yield* simulator.applied).slice(1), [
            ["ForwardBackward", 4],
            ["ForwardBackward", 5],
            ["OptimStep", 6]
          ])
        })
      )
    })
  )

  it.scoped("takes no step with chunks that it applied after the wait for the first one had ended", () =>
    Effect.gen(function* () {
      // the service waits for the first chunk for a minute, and the client for the response to the third
      const faults = [Fault.on("forward_backward").nth(2).swallow]
      const server = { clientConfig: { fwdbwd_max_chunk_len: 1 }, gapTimeout: "30 seconds" } as const
      yield* simulate({ faults, server }, (training, service, simulator) =>
        Effect.gen(function* () {
          const futures = [
            yield* training.forwardBackward([datum, other, datum], "cross_entropy"),
            yield* training.optimStep()
          ]
          yield* TestClock.adjust("10 minutes")
          const [chunks, step] = yield* errorsOf(futures)
          assert.strictEqual(chunks?._tag, "Conflict")
          assert.include(chunks!.message, "came too late")
          assert.strictEqual(step?._tag, "ClientBroken")
          assert.include(step!.message, "forwardBackward (seq_id 1)")
          const { path } = yield* Fiber.join(yield* training.saveState("a"))
          yield* trainOn(yield* service.createTrainingClientFromStateWithOptimizer(path), [datum])
          const applied = typesOf(yield* simulator.applied).slice(1)
          assert.deepStrictEqual(applied.slice(0, 2), [
            ["ForwardBackward", 3],
            ["SaveWeights", 4]
          ])
        })
      )
    })
  )

  it.scoped("does not wait for a number that a proxy refused before it", () =>
    Effect.gen(function* () {
      const faults = [Fault.on("optim_step").nth(1).respond(403), Fault.on("forward_backward").nth(2).respond(413)]
      yield* simulate({ faults }, (training, _, simulator) =>
        Effect.gen(function* () {
          const first = [yield* pass(training), yield* training.optimStep()]
          assert.deepStrictEqual(yield* tagsOf(first), [undefined, "PermissionDenied"])
          yield* Fiber.join(yield* training.optimStep())
          assert.deepStrictEqual(yield* tagsOf([yield* pass(training)]), ["BadRequest"])
          yield* trainOn(training, [datum])
          assert.deepStrictEqual(typesOf(yield* simulator.applied).slice(1), [
            ["ForwardBackward", 1],
            ["OptimStep", 3],
            ["ForwardBackward", 5],
            ["OptimStep", 6]
          ])
        })
      )
    })
  )

  for (const [name, fault] of [
    ["did not receive", Fault.on("optim_step").nth(1).loseRequest],
    ["applied", Fault.on("optim_step").nth(1).loseResponse]
  ] as const) {
    it.scoped(`saves and samples after a step in doubt that it ${name}, but trains no further`, () =>
      Effect.gen(function* () {
        yield* simulate({ faults: [fault] }, (training, service, simulator) =>
          Effect.gen(function* () {
            const forward = yield* pass(training)
            const update = yield* noRetries(training.optimStep({ learning_rate: 0.1 }))
            const saved = yield* training.saveState("a")
            const further = yield* training.optimStep()
            assert.deepStrictEqual(yield* tagsOf([forward, update, saved, further]), [
              undefined,
              "TransportError",
              undefined,
              "ClientBroken"
            ])
            yield* Fiber.join(yield* training.forward([datum], "cross_entropy"))
            yield* training.saveWeightsAndGetSamplingClient()
            const { path } = yield* Fiber.join(saved)
            yield* trainOn(yield* service.createTrainingClientFromStateWithOptimizer(path), [datum])
            const applied = typesOf(yield* simulator.applied).slice(1, 5)
            const step = name === "applied" ? [["OptimStep", 2]] : []
            const from = 2 + step.length
            assert.deepStrictEqual(applied.slice(0, 3 + step.length), [
              ["ForwardBackward", 1],
              ...step,
              ["SaveWeights", from],
              ["Forward", from + 1]
            ] as Array<Array<string | number>>)
          })
        )
      })
    )
  }

  it.scoped("is not trusted after a 403 to a request that an earlier attempt may have delivered", () =>
    Effect.gen(function* () {
      const faults = [
        Fault.on("forward_backward").nth(1).loseResponse,
        // the first request that the fault above leaves
        Fault.on("forward_backward").nth(1).respond(403)
      ]
      yield* simulate({ faults }, (training) =>
        Effect.gen(function* () {
          const forward = yield* pass(training)
          yield* TestClock.adjust("1 minute")
          const update = yield* training.optimStep()
          assert.deepStrictEqual(yield* tagsOf([forward, update]), ["PermissionDenied", "ClientBroken"])
        })
      )
    })
  )
})

describe("a pass that is accepted and fails when it runs", () => {
  /** Runs a program against a service whose engine fails the first pass. */
  const failingOnce = <A, E>(
    program: (training: TrainingClient.TrainingClient) => Effect.Effect<A, E>,
    options: Pick<TestServer.Options, "clientConfig"> & {
      readonly between?: (http: HttpClient.HttpClient) => HttpClient.HttpClient
    } = {}
  ) =>
    Effect.gen(function* () {
      let failed = false
      const before = ({ name }: TestEngine.Operation) => {
        if (failed || name !== "forwardBackward") return Effect.void
        failed = true
        return new Engine.EngineError({ reason: "out of memory", category: "server" })
      }
      const { between = (http) => http, ...serverOptions } = options
      const server = yield* TestServer.make({ ...serverOptions, engine: { before } })
      const layer = Layer.succeed(HttpClient.HttpClient, between(server.client))
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        yield* program(yield* service.createLoraTrainingClient({ base_model: TestEngine.baseModel, seed: 1 }))
      }).pipe(Effect.scoped, Effect.provide(connect({ layer }, { baseUrl: "http://tinker.test" })))
    })

  it.scoped("in one of its chunks takes the next step along, so that no chunk counts twice", () =>
    failingOnce(
      (training) =>
        Effect.gen(function* () {
          const chunks = yield* training.forwardBackward([datum, datum, datum], "cross_entropy")
          assert.deepStrictEqual(yield* tagsOf([chunks]), ["RequestFailed"])
          const [again, step] = yield* errorsOf([yield* pass(training), yield* training.optimStep()])
          assert.isUndefined(again)
          assert.include(step!.message, "no step was taken: forward_backward with seq_id 1 failed")
          assert.deepStrictEqual(yield* tagsOf([yield* pass(training), yield* training.optimStep()]), [
            undefined,
            undefined
          ])
        }),
      { clientConfig: { fwdbwd_max_chunk_len: 1 } }
    )
  )

  /** Holds the queue up at a save, until it is set free. */
  const heldUpAtSave = () => {
    const queue = { isBusy: true }
    const between = (http: HttpClient.HttpClient) =>
      HttpClient.transform(http, (sent, request) =>
        queue.isBusy && request.url.endsWith("/save_weights")
          ? Effect.succeed(HttpClientResponse.fromWeb(request, new Response("busy", { status: 503 })))
          : sent
      )
    return { queue, between }
  }

  it.scoped("stops the rest of its step that still waits in the client, and nothing behind", () =>
    Effect.suspend(() => {
      const { between, queue } = heldUpAtSave()
      return failingOnce(
        (training) =>
          Effect.gen(function* () {
            const failing = yield* pass(training)
            yield* training.saveState("held-up")
            const rest: ReadonlyArray<Future> = [yield* pass(training), yield* training.optimStep()]
            const next: ReadonlyArray<Future> = [yield* pass(training), yield* training.optimStep()]
            assert.deepStrictEqual(yield* tagsOf([failing]), ["RequestFailed"])
            queue.isBusy = false
            yield* TestClock.adjust("1 minute")
            const errors = yield* errorsOf(rest)
            assert.deepStrictEqual(
              errors.map((error) => error?._tag),
              ["StepRefused", "StepRefused"]
            )
            assert.include(errors[1]!.message, "optimStep was not sent: forwardBackward (seq_id 1) failed before it")
            assert.include(String(errors[1]!.cause), "out of memory")
            assert.deepStrictEqual(yield* tagsOf(next), [undefined, undefined])
          }),
        { between }
      )
    })
  )

  it.scoped(
    "has its step sent all the same where the service holds another pass of it, and drops that with the step",
    () =>
      Effect.suspend(() => {
        const { between, queue } = heldUpAtSave()
        return failingOnce(
          (training) =>
            Effect.gen(function* () {
              const passes: ReadonlyArray<Future> = [yield* pass(training), yield* pass(training)]
              yield* training.saveState("held-up")
              const step = yield* training.optimStep()
              const next: ReadonlyArray<Future> = [yield* pass(training), yield* training.optimStep()]
              assert.deepStrictEqual(yield* tagsOf(passes), ["RequestFailed", undefined])
              queue.isBusy = false
              yield* TestClock.adjust("1 minute")
              const [error] = yield* errorsOf([step])
              assert.include(error!.message, "no step was taken: forward_backward with seq_id 1 failed")
              assert.deepStrictEqual(yield* tagsOf(next), [undefined, undefined])
            }),
          { between }
        )
      })
  )

  describe("on a service that takes steps all the same", () => {
    /** Accepts all, and fails the passes with these numbers later; saves are held up for a while. */
    const failingLater = (failing: ReadonlyArray<number>): Record<string, ScriptedHttpClient.Step> => ({
      "/forward_backward": (request) => json({ request_id: `ForwardBackward:${String(bodyOf(request)["seq_id"])}` }),
      "/retrieve_future": (request) =>
        failing.some((seqId) => bodyOf(request)["request_id"] === `ForwardBackward:${seqId}`)
          ? json({ error: "no memory", category: "server" })
          : (results as (request: ScriptedHttpClient.Recorded) => ScriptedHttpClient.Reply)(request)
    })
    const busy = errorResponse(503)
    const heldUp = { "/save_weights": [busy, busy, json({ request_id: "SaveWeights" })] }

    it.scoped("stops the update of its step in a pipeline, and not the steps behind", () =>
      Effect.gen(function* () {
        const updates: Array<Future> = []
        const { http } = yield* run({ ...failingLater([1]), ...heldUp }, (training) =>
          Effect.gen(function* () {
            const submit = (index: number) =>
              Effect.gen(function* () {
                const forward = yield* pass(training)
                if (index === 0) yield* training.saveState("held-up")
                const update = yield* training.optimStep()
                updates.push(update)
                return Effect.all([Fiber.join(forward), Fiber.join(update)])
              })
            const steps = Stream.range(0, 9).pipe(Pipeline.steps({ ahead: 1, submit }), Stream.runDrain)
            const running = yield* Effect.fork(steps)
            yield* TestClock.adjust("1 minute")
            assert.strictEqual(failureOf(yield* Fiber.await(running))?._tag, "RequestFailed")
            assert.deepStrictEqual(yield* tagsOf(updates), ["StepRefused", undefined])
          })
        )
        assert.deepStrictEqual(yield* seqIds(http, "/forward_backward"), [1, 3])
        assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [4])
      })
    )

    for (const [name, batch] of [
      ["another pass of its step", [datum]],
      ["another of its chunks", [datum, datum, datum]]
    ] as const) {
      it.scoped(`stops training for good where the service holds ${name}`, () =>
        Effect.gen(function* () {
          const config = json({ fwdbwd_max_chunk_len: 1 })
          const { http } = yield* run({ ...failingLater([1]), ...heldUp, "/client/config": config }, (training) =>
            Effect.gen(function* () {
              const first: ReadonlyArray<Future> = [
                yield* training.forwardBackward(batch, "cross_entropy"),
                ...(batch.length === 1 ? [yield* pass(training)] : [])
              ]
              const save = yield* training.saveState("held-up")
              const update = yield* training.optimStep()
              const next: ReadonlyArray<Future> = [yield* pass(training), yield* training.optimStep()]
              yield* TestClock.adjust("1 minute")
              assert.deepStrictEqual(yield* tagsOf(first), ["RequestFailed", undefined].slice(0, first.length))
              const refused = yield* errorsOf([update, ...next])
              for (const error of refused) {
                assert.strictEqual(error?._tag, "PartialGradient")
                assert.include(error!.message, "forwardBackward (seq_id 1)")
              }
              assert.deepStrictEqual(yield* tagsOf([save]), [undefined])
            })
          )
          assert.deepStrictEqual(yield* seqIds(http, "/optim_step"), [])
        })
      )
    }
  })

  it.scoped("takes the step along that was called before the program saw it, and no other", () =>
    failingOnce((training) =>
      Effect.gen(function* () {
        const first = [yield* pass(training), yield* training.optimStep()]
        const second = [yield* pass(training), yield* training.optimStep()]
        const [failed, step] = yield* errorsOf(first)
        assert.include(failed!.message, "out of memory")
        assert.include(step!.message, "no step was taken: forward_backward with seq_id 1 failed")
        assert.deepStrictEqual(yield* tagsOf(second), [undefined, undefined])
      })
    )
  )

  it.scoped("does not stop the step of a program that has seen it and runs the pass again", () =>
    failingOnce((training) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* tagsOf([yield* pass(training)]), ["RequestFailed"])
        const again = [yield* pass(training), yield* training.optimStep()]
        assert.deepStrictEqual(yield* tagsOf(again), [undefined, undefined])
      })
    )
  )
})
