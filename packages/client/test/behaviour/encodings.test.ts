import * as Datum from "@effect-tinker/api/Datum"
import * as RetryPolicy from "@effect-tinker/client/RetryPolicy"
import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import type * as TrainingClient from "@effect-tinker/client/TrainingClient"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Redacted, Scope, TestClock } from "effect"
import { baseUrl, key, scripted } from "../utils/services.ts"

const { json } = ScriptedHttpClient
const datum = Datum.fromPromptCompletion([1, 2], [3])
const jsonType = "application/json"
const protobuf = "application/x-protobuf"

const accepted = json({ request_id: "ForwardBackward:1" })
const crash = json({ detail: "Internal Server Error" }, { status: 500 })

/** Responds to JSON with one step, and to protobuf with another. */
const byType =
  (toJson: ScriptedHttpClient.Reply, toProtobuf: ScriptedHttpClient.Reply): ScriptedHttpClient.Step =>
  ({ headers }) =>
    headers["content-type"] === jsonType ? toJson : toProtobuf

const service = (
  step: ScriptedHttpClient.Step | ReadonlyArray<ScriptedHttpClient.Step>,
  program: (make: Effect.Effect<TrainingClient.TrainingClient, unknown, never>) => Effect.Effect<unknown, unknown>,
  options: TinkerConfig.Options = {}
) =>
  Effect.gen(function* () {
    const http = yield* scripted.make({ "/forward_backward": step, "/forward": step })
    const layer = ServiceClient.layer({ apiKey: Redacted.make(key), baseUrl, ...options })
    const exit = yield* Effect.gen(function* () {
      const { createLoraTrainingClient } = yield* ServiceClient.ServiceClient
      const scope = yield* Effect.scope
      return yield* Effect.exit(
        program(Effect.provideService(createLoraTrainingClient({ base_model: "base" }), Scope.Scope, scope))
      )
    }).pipe(Effect.provide(Layer.provide(layer, http.layer)))
    const requests = (yield* http.requests).filter(({ path }) => path.startsWith("/forward"))
    const polls = yield* http.requestsTo("/retrieve_future")
    return {
      exit,
      sent: requests.map(({ body, headers }) => [headers["content-type"], (body as { seq_id: number }).seq_id]),
      accepts: new Set(polls.map(({ headers }) => headers["accept"]))
    }
  })

const step = (training: TrainingClient.TrainingClient) =>
  Effect.flatMap(training.forwardBackward([datum], "cross_entropy"), Fiber.join)

describe("the first data that a service gets", () => {
  it.scoped("is sent once more as JSON after a 500, which is remembered for all clients of the service", () =>
    Effect.gen(function* () {
      const { exit, sent } = yield* service(byType(accepted, crash), (make) =>
        Effect.gen(function* () {
          const first = yield* make
          yield* step(first)
          yield* step(first)
          yield* step(yield* make)
        })
      )
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(sent, [
        [protobuf, 1],
        [jsonType, 1],
        [jsonType, 2],
        [jsonType, 1]
      ])
    })
  )

  it.scoped("is sent as protobuf again if the service fails for JSON too", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(
        service([crash, crash, crash, accepted, accepted], (make) =>
          Effect.flatMap(make, (training) => Effect.andThen(step(training), step(training)))
        )
      )
      yield* TestClock.adjust("10 seconds")
      const { exit, sent } = yield* Fiber.join(fiber)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(sent, [
        [protobuf, 1],
        [jsonType, 1],
        [protobuf, 1],
        [protobuf, 1],
        [protobuf, 2]
      ])
    })
  )

  it.scoped("fails with the service's reason if it reads JSON and rejects the data", () =>
    Effect.gen(function* () {
      const { exit, sent } = yield* service(byType(json({ detail: "no such loss" }, { status: 400 }), crash), (make) =>
        Effect.flatMap(make, (training) => Effect.flip(step(training)))
      )
      assert.strictEqual(exit._tag, "Success")
      assert.include(String(exit._tag === "Success" ? (exit.value as Error).message : ""), "no such loss")
      assert.deepStrictEqual(sent, [
        [protobuf, 1],
        [jsonType, 1]
      ])
    })
  )

  it.scoped("is not sent as JSON to a service that has read protobuf before", () =>
    Effect.gen(function* () {
      const { exit, sent } = yield* service([accepted, crash], (make) =>
        Effect.flatMap(make, (training) => Effect.andThen(step(training), Effect.flip(step(training)))).pipe(
          RetryPolicy.withRetryPolicy(RetryPolicy.never)
        )
      )
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(sent, [
        [protobuf, 1],
        [protobuf, 2]
      ])
    })
  )
})

describe("a forced encoding", () => {
  it.scoped("is JSON for requests and results, or protobuf and nothing else", () =>
    Effect.gen(function* () {
      const asJson = yield* service(accepted, (make) => Effect.flatMap(make, step), { encoding: "json" })
      assert.deepStrictEqual(asJson.sent, [[jsonType, 1]])
      assert.deepStrictEqual(Array.from(asJson.accepts), [jsonType])
      const asProtobuf = yield* service(
        byType(accepted, json({ detail: "JSON only" }, { status: 415 })),
        (make) => Effect.flatMap(make, (training) => Effect.flip(step(training))),
        { encoding: "protobuf" }
      )
      assert.strictEqual(asProtobuf.exit._tag, "Success")
      assert.deepStrictEqual(asProtobuf.sent, [[protobuf, 1]])
    })
  )

  it.effect("comes from TINKER_ENCODING, and must be one of three", () =>
    Effect.gen(function* () {
      const read = (encoding: string) =>
        TinkerConfig.fromConfig({ apiKey: Redacted.make(key) }).pipe(
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["TINKER_ENCODING", encoding]])))
        )
      assert.strictEqual((yield* read("JSON")).encoding, "json")
      assert.strictEqual((yield* read("")).encoding, "auto")
      const error = yield* Effect.flip(read("xml"))
      assert.include(error.message, "TINKER_ENCODING")
    })
  )
})
