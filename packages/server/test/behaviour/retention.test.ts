import * as TensorData from "@effect-tinker/api/TensorData"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as Engine from "@effect-tinker/server/Engine"
import * as InProcessHttpClient from "@effect-tinker/server/InProcessHttpClient"
import * as Store from "@effect-tinker/server/Store"
import * as TinkerServer from "@effect-tinker/server/TinkerServer"
import * as TestEngine from "@effect-tinker/testing/TestEngine"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as client from "../utils/client.ts"
import { collect } from "../utils/garbage.ts"

// the target of a new weak reference stays alive until the end of the task
const collectGarbage = Effect.promise(() => new Promise((resolve) => setImmediate(resolve))).pipe(
  Effect.andThen(Effect.sync(collect))
)

class RequestValue extends Context.Tag("test/RequestValue")<RequestValue, object>() {}

describe("the service", () => {
  it.scoped("retains the latest delivered results, and all undelivered ones", () =>
    Effect.gen(function* () {
      const { layer } = yield* client.start({}, { record: false })
      yield* Effect.gen(function* () {
        const model_id = yield* client.createModel(yield* client.createSession)
        const first = yield* client.ok(client.optimStep(model_id, 1))
        const waiting = yield* client.ok(client.optimStep(model_id, 2))
        assert.property(yield* client.result(first.request_id), "metrics")
        for (let seqId = 3; seqId < 2003; seqId++) {
          yield* client.run("/optim_step", { adam_params: { learning_rate: 0.1 }, model_id, seq_id: seqId })
        }
        const status = (id: string) => Effect.map(client.poll(id), ({ status }) => status)
        assert.strictEqual(yield* status(first.request_id), 410)
        assert.strictEqual(yield* status(waiting.request_id), 200)
        // a repeated request gets the same future, as long as its seq_id is remembered
        const again = yield* client.ok(client.optimStep(model_id, 2))
        assert.strictEqual(again.request_id, waiting.request_id)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("retains 128 MiB of delivered results at most", () =>
    Effect.gen(function* () {
      const { engine } = yield* TestEngine.make({ record: false })
      const logprobs = TensorData.float32(new Float32Array(10 * 2 ** 20))
      const output = { loss_fn_output_type: "logprobs", loss_fn_outputs: [{ logprobs }], metrics: {} }
      const large: Engine.Service = {
        ...engine,
        createModel: (options) =>
          Effect.map(engine.createModel(options), (model) => ({ ...model, forward: () => Effect.succeed(output) }))
      }
      const http = yield* InProcessHttpClient.make(
        TinkerServer.layer().pipe(
          Layer.provide([Layer.succeed(Engine.Engine, large), CheckpointStore.layerMemory, Store.layerMemory])
        )
      )
      yield* Effect.gen(function* () {
        const model_id = yield* client.createModel(yield* client.createSession)
        const submit = client.ok(
          client.post("/forward", { forward_input: client.input(client.datum([1, 2])), model_id })
        )
        const poll = (request_id: string) =>
          HttpClientRequest.post(`${client.base}/retrieve_future`).pipe(
            HttpClientRequest.bodyUnsafeJson({ request_id, allow_metadata_only: false }),
            HttpClientRequest.setHeader("accept", "application/x-protobuf"),
            HttpClient.execute,
            Effect.orDie
          )
        // of 40 MiB each
        const ids: Array<string> = []
        for (let i = 0; i < 4; i++) {
          const { request_id } = yield* submit
          const response = yield* poll(request_id)
          assert.strictEqual(response.status, 200)
          assert.strictEqual((yield* Effect.orDie(response.arrayBuffer)).byteLength >> 20, 40)
          ids.push(request_id)
          if (i === 2) assert.strictEqual((yield* poll(ids[1]!)).status, 200, "three are retained")
        }
        assert.strictEqual((yield* poll(ids[0]!)).status, 410)
        assert.strictEqual((yield* poll(ids[3]!)).status, 200)
      }).pipe(Effect.provideService(HttpClient.HttpClient, http))
    })
  )

  it.scoped("retains nothing of the inputs of operations", () =>
    Effect.gen(function* () {
      const inputs: Array<WeakRef<object>> = []
      const { layer } = yield* client.start(
        {},
        {
          record: false,
          before: ({ input, name }) =>
            Effect.sync(() => {
              if (name === "forwardBackward") {
                const [datum] = (input as Engine.PassOptions).data
                inputs.push(new WeakRef(datum!.model_input.chunks[0]!), new WeakRef(datum!.loss_fn_inputs))
              }
              if (name === "sample") inputs.push(new WeakRef((input as Engine.SampleOptions).prompt.chunks[0]!))
            })
        }
      )
      yield* Effect.gen(function* () {
        const session = yield* client.createSession
        const model_id = yield* client.createModel(session)
        const { sampling_session_id } = yield* client.ok(
          client.post("/create_sampling_session", {
            session_id: session,
            sampling_session_seq_id: 0,
            base_model: "effect-tinker/test"
          })
        )
        const results: Array<string> = []
        for (let n = 0; n < 10; n++) {
          for (const sent of [
            client.forwardBackward(model_id, n + 1),
            client.post("/asample", client.sampleRequest(sampling_session_id, n))
          ]) {
            const { request_id } = yield* client.ok(sent)
            // half of the results are polled for right away
            if (n % 2 === 0) yield* client.result(request_id)
            results.push(request_id)
          }
        }
        yield* Effect.forEach(results, client.result)
        assert.strictEqual(inputs.length, 30)
        yield* collectGarbage
        // the last ones may still be referenced from a stack
        assert.isAtMost(inputs.filter((value) => value.deref() !== undefined).length, 3)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("retains nothing of the requests that create and end sessions", () =>
    Effect.gen(function* () {
      const requests: Array<WeakRef<object>> = []
      const { layer } = yield* client.start({}, { record: false })
      /** Runs a request in a fiber of its own, as a server of HTTP does, with a value that only it has. */
      const request = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.suspend(() => {
          const value = { large: "x".repeat(1000) }
          requests.push(new WeakRef(value))
          return Effect.forkDaemon(Effect.provideService(effect, RequestValue, value))
        }).pipe(Effect.flatMap(Fiber.await), Effect.flatten)
      yield* Effect.gen(function* () {
        for (let n = 0; n < 10; n++) {
          const session = yield* request(client.createSession)
          const finished = client.post(`/sessions/${session}/finish`, { reason: { type: "success" } })
          if (n > 4) assert.strictEqual(yield* request(client.statusOf(finished)), 204)
        }
        yield* collectGarbage
        // the last ones may still be referenced from a stack
        assert.isAtMost(requests.filter((value) => value.deref() !== undefined).length, 3)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("leaves nothing of ended sessions in the fiber that ended them", () =>
    Effect.gen(function* () {
      const turns: Array<WeakRef<Engine.Turn>> = []
      const remember = Effect.map(Engine.CurrentTurn, (turn) => void turns.push(new WeakRef(turn)))
      const { layer } = yield* client.start({}, { record: false, before: () => remember })
      yield* Effect.gen(function* () {
        for (let n = 0; n < 10; n++) {
          const session = yield* client.createSession
          const model_id = yield* client.createModel(session)
          const saved = yield* client.run("/save_weights_for_sampler", { model_id, seq_id: 1 })
          const sample = client.sampleRequest(String(saved["sampling_session_id"]), 0)
          yield* client.run("/asample", sample)
          const finished = client.post(`/sessions/${session}/finish`, { reason: { type: "success" } })
          assert.strictEqual(yield* client.statusOf(finished), 204)
        }
        // results are held for a while after the end of a session
        yield* TestClock.adjust("10 minutes")
        assert.isAtLeast(turns.length, 30)
        yield* collectGarbage
        // those of the last one may still be referenced from a stack
        assert.isAtMost(turns.filter((turn) => turn.deref() !== undefined).length, 5)
      }).pipe(Effect.provide(layer))
    })
  )

  it.scoped("ends what outlives requests with its scope, also where it was started without interruption", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { engine } = yield* TestEngine.make()
      const http = yield* InProcessHttpClient.make(
        TinkerServer.layer().pipe(
          Layer.provide([Layer.succeed(Engine.Engine, engine), CheckpointStore.layerMemory, Store.layerMemory])
        )
      ).pipe(Scope.extend(scope), Effect.uninterruptible)
      yield* Effect.provideService(client.createSession, HttpClient.HttpClient, http)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(Option.isSome(yield* Fiber.poll(closing)))
    })
  )
})
