import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { withCaller } from "../../../src/internal/effect/runtime.ts"
import type { Exchange, PreparedRequest } from "../../../src/internal/transport/exchange.ts"
import { exchangeOf, register } from "../../../src/internal/transport/exchangeOf.ts"

const request: PreparedRequest = {
  method: "GET",
  origin: "http://any.test",
  path: "/path",
  headers: ["x-own", "1"],
  body: undefined,
  isForeign: false
}

/** Sends one request, and returns its status. */
const statusOf = (exchange: Exchange) =>
  withCaller((caller) =>
    Effect.async<number>((resume) => {
      exchange.send(
        request,
        { timeoutMillis: 1000, maxBytes: 1024, caller, span: undefined, httpSpan: false },
        {
          onResponse: ({ status }) => resume(Effect.succeed(status)),
          onFailure: () => resume(Effect.succeed(0)),
          onDefect: (cause) => resume(Effect.failCause(cause))
        }
      )
    })
  )

const recording = () => {
  const seen: Array<HttpClientRequest.HttpClientRequest> = []
  const client = HttpClient.make((request) => {
    seen.push(request)
    return Effect.succeed(HttpClientResponse.fromWeb(request, new Response("", { status: 201 })))
  })
  return { client, seen }
}

const registered: Exchange = {
  headers: [],
  send: (_request, _options, handler) => {
    queueMicrotask(() => handler.onResponse({ status: 299, headers: {}, body: new Uint8Array() }))
    return { release: () => {} }
  }
}

describe("exchangeOf", () => {
  it.live("returns the exchange that is registered with the client", () =>
    Effect.gen(function* () {
      const { client, seen } = recording()
      assert.strictEqual(yield* statusOf(exchangeOf(register(client, registered), [])), 299)
      assert.isEmpty(seen)
    })
  )

  it.live("returns an adapter where requests have spans, which the client makes", () =>
    Effect.gen(function* () {
      const { client, seen } = recording()
      const exchange = exchangeOf(register(client, registered), [], { httpSpans: true })
      assert.strictEqual(yield* statusOf(exchange), 201)
      assert.strictEqual(seen.length, 1)
    })
  )

  it.live("returns an adapter for any other client", () =>
    Effect.gen(function* () {
      const { client, seen } = recording()
      assert.strictEqual(yield* statusOf(exchangeOf(client, [])), 201)
      assert.strictEqual(seen[0]!.url, "http://any.test/path")
      assert.strictEqual(seen[0]!.headers["x-own"], "1")
    })
  )

  it.live("never bypasses the wrapper of a registered client", () =>
    Effect.gen(function* () {
      const { client, seen } = recording()
      const wrapped = HttpClient.mapRequest(register(client, registered), HttpClientRequest.setHeader("x-team", "blue"))
      assert.strictEqual(yield* statusOf(exchangeOf(wrapped, [])), 201)
      assert.strictEqual(seen[0]!.headers["x-team"], "blue")
    })
  )
})
