import * as ServiceClient from "@effect-tinker/client/ServiceClient"
import * as TinkerFuture from "@effect-tinker/client/TinkerFuture"
import * as ScriptedHttpClient from "@effect-tinker/testing/ScriptedHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, TestClock } from "effect"
import { bodyOf, failureOf } from "../../utils/exits.ts"
import { connect, json, scripted } from "../../utils/services.ts"
import { errorResponse, type Http, run, settle } from "../../utils/trainingRun.ts"

describe("polling for the result of an operation", () => {
  const created = json({ model_id: "m" })
  const step = (
    polls: ReadonlyArray<ScriptedHttpClient.Step>,
    by: `${number} minutes` | `${number} seconds`,
    limit?: `${number} seconds`
  ) =>
    run({ "/retrieve_future": [created, ...polls] }, (training) =>
      Effect.flatMap(
        limit === undefined ? training.optimStep() : TinkerFuture.withNoProgressLimit(training.optimStep(), limit),
        (future) => settle(future, by)
      )
    )
  const times = (http: Http) =>
    Effect.map(http.requestsTo("/retrieve_future"), (polls) =>
      polls.slice(1).map((poll) => Math.round(poll.time - polls[1]!.time))
    )

  it.scoped("rejects a body that is not a result", () =>
    Effect.gen(function* () {
      const pending = yield* step([json({ status: "pending" }), json({ metrics: null })], "5 seconds")
      assert.isTrue(Exit.isSuccess(pending.value))
      for (const body of [null, [], 7, "text", { status: "complete_metadata" }, { status: "odd" }]) {
        const { value } = yield* step([json({ status: "complete_metadata" }), json(body)], "2 seconds")
        assert.strictEqual(failureOf(value)?._tag, "DecodeError", JSON.stringify(body))
        assert.strictEqual(failureOf(value)?.requestId, "OptimStep")
      }
      // nested too deeply to be shown in an error
      const deep = ScriptedHttpClient.text(`{"metrics":${"[".repeat(20_000)}${"]".repeat(20_000)}}`)
      assert.strictEqual(failureOf((yield* step([deep], "2 seconds")).value)?._tag, "DecodeError")
    })
  )

  it.scoped("fails as the service reports, in a body or as a status", () =>
    Effect.gen(function* () {
      for (const [body, category] of [
        [{ error: "bad data", category: "user" }, "user"],
        [{ error: { reason: "bad data" }, category: "server" }, "server"],
        [{ error: "bad data", category: "User" }, "unknown"]
      ] as const) {
        const { value } = yield* step([json(body)], "1 seconds")
        const failed = failureOf(value)
        assert.strictEqual(failed?._tag, "RequestFailed")
        assert.include(failed?.message, "bad data")
        assert.strictEqual(failed?.category, category)
      }
      const asStatus = yield* step([errorResponse(400, {}, { detail: "out of range" })], "20 seconds")
      assert.strictEqual(failureOf(asStatus.value)?._tag, "RequestFailed")
      assert.include(failureOf(asStatus.value)?.message, "out of range")
      assert.strictEqual((yield* times(asStatus.http)).length, 4)
    })
  )

  it.scoped("backs off after errors and rate limits, but not after a poll that the service held open", () =>
    Effect.gen(function* () {
      const { http, value } = yield* step(
        [
          errorResponse(500),
          errorResponse(503),
          errorResponse(429, { "retry-after": "3" }),
          ScriptedHttpClient.after("20 seconds", errorResponse(408)),
          errorResponse(500),
          json({ metrics: null })
        ],
        "40 seconds"
      )
      assert.isTrue(Exit.isSuccess(value))
      const at = yield* times(http)
      const gaps = at.slice(1).map((time, i) => time - at[i]!)
      const between = (gap: number, low: number, high: number) =>
        assert.isTrue(gap >= low && gap <= high, `${gap} in ${low} to ${high}`)
      between(gaps[0]!, 750, 1000)
      between(gaps[1]!, 1500, 2000)
      between(gaps[2]!, 3000, 3000)
      between(gaps[3]!, 20_000, 20_001)
      between(gaps[4]!, 750, 1000)
    })
  )

  it.scoped("fails with the last state of the queue if nothing makes progress", () =>
    Effect.gen(function* () {
      const held = ScriptedHttpClient.after(
        "20 seconds",
        json({ type: "try_again", queue_state: "paused_capacity", queue_state_reason: "no machines" })
      )
      const { value } = yield* step([held], "2 minutes", "60 seconds")
      const stuck = failureOf(value)
      assert.strictEqual(stuck?._tag, "NoProgress")
      assert.include(stuck?.message, "paused_capacity (no machines)")
      assert.strictEqual(stuck?.requestId, "OptimStep")
    })
  )

  it.scoped("reads the state of the queue from a 408 as well", () =>
    Effect.gen(function* () {
      const held = ScriptedHttpClient.after("20 seconds", errorResponse(408, {}, { queue_state: "paused_rate_limit" }))
      const { value } = yield* run({ "/retrieve_future": [created, held] }, (training) =>
        Effect.gen(function* () {
          yield* training.optimStep()
          yield* TestClock.adjust("21 seconds")
          return yield* training.queueState.current
        })
      )
      assert.strictEqual(value.state, "paused_rate_limit")
    })
  )

  it.scoped("downloads large results within a budget that all clients of the service share", () =>
    Effect.gen(function* () {
      const large = json({ status: "complete_metadata", response_payload_size: 60 })
      const http = yield* scripted.make({
        "/client/config": json({ inflight_response_bytes_semaphore_size: 50 }),
        "/retrieve_future": (request) => {
          const { allow_metadata_only, request_id } = bodyOf(request)
          if (request_id !== "OptimStep") return json({ model_id: "m" })
          return allow_metadata_only === true ? large : ScriptedHttpClient.after("10 seconds", json({ metrics: null }))
        }
      })
      yield* Effect.gen(function* () {
        const service = yield* ServiceClient.ServiceClient
        const clients = yield* Effect.forEach(
          [1, 2, 3],
          () => service.createLoraTrainingClient({ base_model: "base" }),
          { concurrency: "unbounded" }
        )
        const futures = yield* Effect.forEach(clients, (training) => training.optimStep())
        yield* TestClock.adjust("9 seconds")
        const downloads = Effect.map(
          http.requestsTo("/retrieve_future"),
          (polls) => polls.filter((poll) => bodyOf(poll)["allow_metadata_only"] === false).length
        )
        assert.strictEqual(yield* downloads, 1, "a result larger than the budget is downloaded alone")
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* downloads, 2)
        yield* TestClock.adjust("20 seconds")
        yield* Effect.forEach(futures, Fiber.join)
      }).pipe(Effect.scoped, Effect.provide(connect(http)))
    }).pipe(Effect.scoped)
  )
})
