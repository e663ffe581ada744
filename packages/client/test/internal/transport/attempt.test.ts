import { withWarnings } from "@effect-tinker/testing/Logs"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { attempt } from "../../../src/internal/transport/attempt.ts"
import { classify } from "../../../src/internal/transport/classify.ts"
import * as transports from "../../utils/transports.ts"

const { errorOf, header, pending } = transports
const invalidToken = { "www-authenticate": 'Bearer error="invalid_token"' }

describe("an attempt", () => {
  it.effect("sends the headers of all requests, its own, the number of retries, the trace and the credential", () =>
    Effect.gen(function* () {
      const { requests, state, transport } = transports.make({ status: 200, text: "ok" })
      const one = pending()
      const response = yield* Effect.withSpan(attempt(transport, one), "caller")
      assert.deepInclude(response, { status: 200, url: "https://service.test/api/v1/optim_step" })
      yield* attempt(transport, one)
      const [first, second] = requests
      assert.deepStrictEqual(first!.headers.slice(0, 6), [
        "x-common",
        "2",
        "x-own",
        "3",
        "x-stainless-retry-count",
        "0"
      ])
      assert.strictEqual(header(second!, "x-stainless-retry-count"), "1")
      assert.match(header(first!, "traceparent")!, /^00-/)
      assert.isUndefined(header(second!, "traceparent"))
      assert.strictEqual(header(first!, "x-api-key"), "token-0")
      assert.deepInclude(first, {
        method: "POST",
        origin: "https://service.test",
        path: "/api/v1/optim_step",
        body: "{}"
      })
      assert.deepInclude(first, { isForeign: false, timeoutMillis: 60_000, maxBytes: 1000, httpSpan: true })
      assert.strictEqual(state.released, 0)
    })
  )

  it.effect("has the span of its operation, and none where it belongs to no trace or spans are off", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make({ status: 200 })
      const span = yield* Effect.makeSpan("operation")
      yield* attempt(transport, pending({ span }))
      yield* Effect.withSpan(attempt(transport, pending({ span, endpoint: "retrieveFuture" })), "caller")
      yield* attempt({ ...transport, httpSpans: false }, pending({ span }))
      assert.include(header(requests[0]!, "traceparent"), span.spanId)
      assert.strictEqual(requests[0]!.span, span)
      assert.isUndefined(header(requests[1]!, "traceparent"))
      assert.deepStrictEqual(
        requests.map(({ httpSpan }) => httpSpan),
        [true, false, false]
      )
    })
  )

  it.effect("sends the credential that the request asks for", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make({ status: 200 })
      for (const credential of ["given", "plain", "current", Redacted.make("another")] as const) {
        yield* attempt(transport, pending({ credential }))
      }
      assert.deepStrictEqual(
        requests.map((request) => header(request, "x-api-key")),
        [undefined, "plain", "token-0", "another"]
      )
    })
  )

  it.effect("replaces a token that the service rejects once, and fails if there is no other", () =>
    Effect.gen(function* () {
      const rejected = transports.make({ status: 401, headers: invalidToken }, { status: 200 })
      assert.strictEqual((yield* attempt(rejected.transport, pending())).status, 200)
      const again = transports.make({ status: 401, headers: { "www-authenticate": "error=invalid_token" } })
      assert.strictEqual((yield* errorOf(attempt(again.transport, pending())))._tag, "Unauthorized")
      const same = transports.make({ status: 401, headers: invalidToken })
      same.state.token = "token-0"
      assert.strictEqual((yield* errorOf(attempt(same.transport, pending())))._tag, "Unauthorized")
      const keys = ({ requests }: ReturnType<typeof transports.make>) => requests.map((one) => header(one, "x-api-key"))
      assert.deepStrictEqual(
        [keys(rejected), keys(again), keys(same)],
        [["token-0", "token-1"], ["token-0", "token-1"], ["token-0"]]
      )
    })
  )

  it.effect("replaces no token for another reason", () =>
    Effect.gen(function* () {
      for (const outcome of [
        { status: 401 },
        { status: 401, headers: { "www-authenticate": "Bearer" } },
        { status: 403, headers: invalidToken }
      ]) {
        const { requests, transport } = transports.make(outcome)
        yield* errorOf(attempt(transport, pending()))
        assert.strictEqual(requests.length, 1, JSON.stringify(outcome))
      }
      const { requests, transport } = transports.make({ status: 401, headers: invalidToken })
      yield* errorOf(attempt(transport, pending({ credential: "plain" })))
      assert.strictEqual(requests.length, 1)
    })
  )

  it.effect("tells whether the service can be reached, dies of defects, and is released when it is interrupted", () =>
    Effect.gen(function* () {
      const { state, transport } = transports.make(
        { status: 500 },
        { reason: "Timeout", detail: "too slow" },
        "defect",
        "silence"
      )
      yield* errorOf(attempt(transport, pending()))
      assert.isTrue(transport.isReachable)
      const lost = yield* errorOf(attempt(transport, pending()))
      assert.deepInclude(lost, { _tag: "TransportError", reason: "Timeout", detail: "too slow", requestId: "r-1" })
      assert.isFalse(transport.isReachable)
      const exit = yield* Effect.exit(attempt(transport, pending()))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      const waiting = yield* Effect.fork(attempt(transport, pending()))
      yield* Effect.yieldNow()
      assert.strictEqual(state.released, 0)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual(state.released, 1)
    })
  )
})

describe("a response", () => {
  const url = "https://service.test/x"
  const responseOf = (status: number, text = "", headers = {}) => ({
    url,
    status,
    headers,
    body: new TextEncoder().encode(text)
  })
  const subject = { method: "m", requestId: "r-1" }

  it.effect("is a success below 400, and an error that never shows the key from there on", () =>
    Effect.gen(function* () {
      const { transport } = transports.make({ status: 200 })
      for (const status of [200, 302, 399]) {
        assert.strictEqual((yield* classify(transport, responseOf(status), subject, undefined)).status, status)
      }
      yield* errorOf(classify(transport, responseOf(199, "x"), subject, undefined))
      const body = '{"detail":"tml-key is wrong, tml-key"}'
      const shown = yield* errorOf(classify(transport, responseOf(400, body), subject, undefined))
      assert.include(shown.message, "tml-key is wrong, tml-key")
      const hidden = yield* errorOf(classify(transport, responseOf(400, body), subject, Redacted.make("tml-key")))
      assert.include(hidden.message, "<redacted> is wrong, <redacted>")
      assert.deepInclude(hidden, { _tag: "BadRequest", status: 400, requestId: "r-1", method: "m" })
    })
  )

  it.effect("that asks to come back at a date is retried then", () =>
    Effect.gen(function* () {
      const { transport } = transports.make({ status: 200 })
      yield* TestClock.adjust("1 minute")
      const headers = { "retry-after": new Date(90_000).toUTCString() }
      const error = yield* errorOf(classify(transport, responseOf(429, "", headers), subject, undefined))
      assert.strictEqual(error.retryAfter && String(error.retryAfter), "Duration(30s)")
    })
  )

  it.effect(
    "of an edge proxy, a 400 without a body, counts as a lost connection 16 times; successes take them back",
    () =>
      Effect.gen(function* () {
        const { transport } = transports.make({ status: 200 })
        const tagOf = (text = "") =>
          Effect.map(errorOf(classify(transport, responseOf(400, text), subject, undefined)), ({ _tag }) => _tag)
        assert.strictEqual(yield* tagOf("{}"), "BadRequest")
        for (let i = 0; i < 16; i++) assert.strictEqual(yield* tagOf(), "TransportError", String(i))
        assert.strictEqual(yield* tagOf(), "BadRequest")
        yield* classify(transport, responseOf(200), subject, undefined)
        assert.strictEqual(yield* tagOf(), "TransportError")
        assert.strictEqual(yield* tagOf(), "BadRequest")
        for (let i = 0; i < 40; i++) yield* classify(transport, responseOf(200), subject, undefined)
        assert.strictEqual(transport.edgeRejections, 0)
        const other = yield* errorOf(classify(transport, responseOf(500), subject, undefined))
        assert.strictEqual(other._tag, "ServerError")
      })
  )

  it.effect(
    "with a note of deprecation logs it once, as an error where it says so, and a hundred of them at most",
    () =>
      Effect.gen(function* () {
        const { transport } = transports.make({ status: 200 })
        const note = (text: string, level?: string) =>
          classify(
            transport,
            responseOf(200, "", { "x-deprecation-note": text, ...(level && { "x-deprecation-level": level }) }),
            subject,
            undefined
          )
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${message}`))
        yield* Effect.provide(
          Effect.all([
            note("rank 1 goes"),
            note("rank 1 goes"),
            note("and rank 2", "error"),
            note("and rank 3", "info")
          ]),
          Logger.replace(Logger.defaultLogger, logger)
        )
        assert.deepStrictEqual(lines, ["WARN m: rank 1 goes", "ERROR m: and rank 2", "WARN m: and rank 3"])
        const many = yield* withWarnings(
          Effect.forEach(
            Array.from({ length: 120 }, (_, i) => `note ${i}`),
            (text) => note(text)
          )
        )
        assert.strictEqual(many.lines.length, 97)
      })
  )
})
