import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, FiberRef, TestClock, type Tracer } from "effect"
import { type Caller, withCaller } from "../../../src/internal/effect/runtime.ts"
import type { PreparedRequest } from "../../../src/internal/transport/exchange.ts"
import { make } from "../../../src/internal/transport/httpClientExchange.ts"

const request: PreparedRequest = {
  method: "POST",
  origin: "http://any.test",
  path: "/path",
  headers: ["content-type", "application/json"],
  body: "{}",
  isForeign: false
}

type Execute = (
  request: HttpClientRequest.HttpClientRequest
) => Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

const clientOf = (execute: Execute): HttpClient.HttpClient =>
  HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
    (request) => Effect.flatMap(request, execute),
    Effect.succeed
  )

const ok: Execute = (request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response("body")))

/** Sends one request, and returns what is called. */
const send = (execute: Execute, options: { timeoutMillis?: number; span?: Tracer.AnySpan | undefined } = {}) =>
  withCaller((caller: Caller) =>
    Effect.async<string>((resume) => {
      const { span, timeoutMillis = 60_000 } = options
      const sent = make(clientOf(execute), ["x-secret"]).send(
        request,
        { timeoutMillis, maxBytes: 1024, caller, span, httpSpan: false },
        {
          onResponse: ({ body, status }) => resume(Effect.succeed(`${status} ${new TextDecoder().decode(body)}`)),
          onFailure: ({ reason }) => resume(Effect.succeed(reason)),
          onDefect: (cause) => resume(Effect.succeed(Cause.isDie(cause) ? "died" : "interrupted"))
        }
      )
      return Effect.sync(() => sent.release())
    })
  )

describe("the exchange over an HttpClient", () => {
  it.live("calls back with the buffered response", () =>
    Effect.map(send(ok), (outcome) => assert.strictEqual(outcome, "200 body"))
  )

  it.live("calls back after send has returned", () =>
    withCaller((caller) =>
      Effect.async<void>((resume) => {
        let hasReturned = false
        make(clientOf(ok), []).send(
          request,
          { timeoutMillis: 1000, maxBytes: 1024, caller, span: undefined, httpSpan: false },
          {
            onResponse: () => resume(Effect.sync(() => assert.isTrue(hasReturned))),
            onFailure: () => resume(Effect.die("failed")),
            onDefect: (cause) => resume(Effect.failCause(cause))
          }
        )
        hasReturned = true
      })
    )
  )

  it.live("runs the request with the caller's FiberRefs and context, under the given span", () =>
    Effect.gen(function* () {
      const ref = FiberRef.unsafeMake("outside")
      const seen: Array<unknown> = []
      const execute: Execute = (request) =>
        Effect.gen(function* () {
          seen.push(yield* FiberRef.get(ref))
          seen.push((yield* Effect.orDie(Effect.currentSpan)).name)
          seen.push((yield* FetchHttpClient.RequestInit).redirect)
          seen.push((yield* FiberRef.get(Headers.currentRedactedNames)).includes("x-secret"))
          return yield* ok(request)
        }) as ReturnType<Execute>
      const span = yield* Effect.makeSpan("operation")
      yield* Effect.locally(send(execute, { span }), ref, "inside")
      assert.deepStrictEqual(seen, ["inside", "operation", "manual", true])
    })
  )

  it.effect("keeps the timeout on the caller's clock, and interrupts the request", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const hanging: Execute = () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      const fiber = yield* Effect.fork(send(hanging, { timeoutMillis: 1000 }))
      yield* TestClock.adjust(999)
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(fiber), "Timeout")
      yield* Deferred.await(interrupted)
    })
  )

  it.live("interrupts the request on release, and calls nothing", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const hanging: Execute = () =>
        Effect.flatMap(Deferred.succeed(started, undefined), () =>
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        )
      const fiber = yield* Effect.fork(send(hanging))
      yield* Deferred.await(started)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      yield* Deferred.await(interrupted)
    })
  )

  it.live("reports an HttpClient that dies or interrupts itself", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* send(() => Effect.die("defect")), "died")
      assert.strictEqual(yield* send(() => Effect.interrupt), "interrupted")
    })
  )
})
