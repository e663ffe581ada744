import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import * as RetryPolicy from "../../../src/RetryPolicy.ts"
import { follow } from "../../../src/internal/transport/redirects.ts"
import { send } from "../../../src/internal/transport/retries.ts"
import * as transports from "../../utils/transports.ts"

const { errorOf, header, pending } = transports
const policy: RetryPolicy.RetryPolicy = {
  ...RetryPolicy.standard,
  first: "1 second",
  cap: "1 second",
  total: "10 seconds"
}

/** The outcome of an effect after a virtual time. */
const within = <A, E>(duration: "0 millis" | "2 seconds" | "6 seconds" | "1 minute", effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.either(effect))
    yield* Effect.yieldNow()
    yield* TestClock.adjust(duration)
    return yield* Fiber.poll(fiber)
  })

/** The lines of the log at any level. */
const withLines = <A, E>(effect: Effect.Effect<A, E>) => {
  const lines: Array<string> = []
  return effect.pipe(
    Effect.provide(
      Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${message}`))
      )
    ),
    Logger.withMinimumLogLevel(LogLevel.Debug),
    Effect.map((value) => ({ value, lines }))
  )
}

describe("a request", () => {
  it.effect("that fails is sent again, its caller is told, and the failure is reported", () =>
    Effect.gen(function* () {
      const { events, requests, transport } = transports.make(
        { status: 500, text: "broken" },
        { status: 503 },
        { status: 200 }
      )
      const told: Array<string> = []
      const one = pending({ policy, onRetry: ({ _tag }) => void told.push(_tag) })
      const { lines, value } = yield* withLines(within("2 seconds", send(transport, one)))
      assert.strictEqual(value._tag, "Some")
      assert.strictEqual(requests.length, 3)
      assert.deepStrictEqual(told, ["ServerError", "ServerError"])
      assert.deepStrictEqual(
        events.map(({ data, name, severity }) => [name, data?.["func"], data?.["attempt_count"], severity]),
        [
          ["InternalClientHolder.execute_with_retries.exception", "optimStep", 1, "ERROR"],
          ["InternalClientHolder.execute_with_retries.exception", "optimStep", 2, "ERROR"]
        ]
      )
      assert.include(JSON.stringify(events[0]!.data), "500")
      assert.match(lines[0]!, /^DEBUG retrying optimStep after attempt 1 failed: .*broken/)
      assert.match(lines[1]!, /^WARN retrying after a failure: /)
    })
  )

  it.effect("is not sent again for a mistake of its caller, which is reported as a warning", () =>
    Effect.gen(function* () {
      const { events, requests, transport } = transports.make({ status: 422, text: "{}" })
      const told: Array<string> = []
      const error = yield* errorOf(send(transport, pending({ policy, onRetry: ({ _tag }) => void told.push(_tag) })))
      assert.strictEqual(error._tag, "BadRequest")
      assert.deepStrictEqual([requests.length, told.length], [1, 0])
      assert.deepStrictEqual(
        events.map(({ severity }) => severity),
        ["WARNING"]
      )
    })
  )

  it.effect("in the background is retried and not reported", () =>
    Effect.gen(function* () {
      const { events, requests, transport } = transports.make({ status: 500 }, { status: 200 })
      yield* within("2 seconds", send(transport, pending({ policy, endpoint: "retrieveFuture" })))
      assert.deepStrictEqual([requests.length, events.length], [2, 0])
    })
  )

  it.effect("whose first attempt was made is not sent for it, and has the span of its operation", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make({ status: 200, text: "second" })
      const span = yield* Effect.makeSpan("operation")
      const first = Effect.flatMap(Effect.currentParentSpan, (parent) =>
        Effect.sync(() => ({ url: parent.spanId, status: 200, headers: {}, body: new Uint8Array() }))
      ).pipe(Effect.orDie)
      assert.strictEqual((yield* send(transport, pending({ policy, span }), first)).url, span.spanId)
      assert.isEmpty(requests)
      const failed = Effect.fail(
        yield* errorOf(send(transports.make({ status: 500 }).transport, pending({ policy: RetryPolicy.never })))
      )
      yield* within("2 seconds", send(transport, pending({ policy }), failed))
      assert.strictEqual(requests.length, 1)
    })
  )

  it.effect("shows the queue that it fails five times in a row, and that this has ended", () =>
    Effect.gen(function* () {
      const states: Array<string> = []
      const queue = {
        observe: ({ state }: { readonly state: string }) => Effect.sync(() => void states.push(state))
      } as never
      const long = { ...policy, total: "1 hour" as const }
      const { transport } = transports.make(...Array.from({ length: 6 }, () => ({ status: 500 })), { status: 200 })
      const done = yield* within("1 minute", send(transport, pending({ policy: long, queue })))
      assert.strictEqual(done._tag, "Some")
      assert.deepStrictEqual(states, ["retrying", "retrying", "active"])
    })
  )
})

describe("a request that a 402 answers", () => {
  const unpaid = { status: 402, text: '{"detail":"no credit"}' }

  it.effect("waits five seconds, or as long as the service asks for, and is sent again", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make(unpaid, { status: 200 })
      const told: Array<string> = []
      const one = pending({ policy: RetryPolicy.never, onRetry: ({ _tag }) => void told.push(_tag) })
      const fiber = yield* Effect.fork(send(transport, one))
      yield* Effect.yieldNow()
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(requests.length, 2)
      assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      assert.deepStrictEqual(told, ["PaymentRequired"])
      const asked = transports.make({ ...unpaid, headers: { "retry-after": "1" } }, { status: 200 })
      assert.strictEqual((yield* within("2 seconds", send(asked.transport, pending({ policy }))))._tag, "Some")
    })
  )

  it.effect("fails where a pause is not wanted", () =>
    Effect.gen(function* () {
      const over = transports.make(unpaid)
      over.state.mayPause = false
      const { transport } = transports.make(unpaid)
      const told = transports.make({ ...unpaid, headers: { "x-should-retry": "false" } })
      for (const [name, result] of [
        ["the pause has lasted long enough", send(over.transport, pending({ policy }))],
        ["the policy has none", send(transport, pending({ policy: { ...policy, billingPause: false } }))],
        ["the service says so", send(told.transport, pending({ policy }))]
      ] as const) {
        assert.strictEqual((yield* errorOf(result))._tag, "PaymentRequired", name)
      }
    })
  )
})

describe("a redirect", () => {
  const first = (location?: string, status = 302) => ({
    url: "https://service.test/api/v1/archive",
    status,
    headers: location === undefined ? {} : { location },
    body: new Uint8Array()
  })
  const subject = { method: "checkpointArchive" }

  it.effect("to the service itself is followed with the credential and the client's headers", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make({ status: 200, text: "x" })
      assert.strictEqual((yield* follow(transport, first("/other?a=1"), subject)).status, 200)
      assert.deepInclude(requests[0], {
        method: "GET",
        origin: "https://service.test",
        path: "/other?a=1",
        isForeign: false
      })
      assert.strictEqual(header(requests[0]!, "x-api-key"), "token-0")
      assert.strictEqual(header(requests[0]!, "x-common"), "2")
      assert.strictEqual(header(requests[0]!, "accept"), "application/json")
      assert.strictEqual(header(requests[0]!, "x-stainless-retry-count"), "0")
      assert.strictEqual(requests[0]!.timeoutMillis, 60_000)
      const refused = follow(transports.make({ status: 404, text: "{}" }).transport, first("/other"), subject)
      assert.deepInclude(yield* errorOf(refused), { _tag: "NotFound", method: "checkpointArchive" })
    })
  )

  it.effect("to elsewhere is followed without them", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make({ status: 200 })
      const response = yield* Effect.withSpan(follow(transport, first("https://storage.test/a?b=c"), subject), "caller")
      assert.strictEqual(response.url, "https://storage.test/a?b=c")
      assert.deepStrictEqual(requests[0]!.headers, [
        "x-exchange",
        "1",
        "user-agent",
        "effect-tinker/0.1.0",
        "accept",
        "application/json"
      ])
      assert.deepInclude(requests[0], {
        method: "GET",
        isForeign: true,
        body: undefined,
        httpSpan: false,
        maxBytes: 1000
      })
      assert.strictEqual(requests[0]!.timeoutMillis, 60_000)
      assert.isUndefined(requests[0]!.span)
    })
  )

  it.effect("is followed five times at most", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make({
        status: 301,
        headers: { location: "https://storage.test/again" }
      })
      assert.strictEqual((yield* follow(transport, first("https://storage.test/a"), subject)).status, 301)
      assert.strictEqual(requests.length, 5)
    })
  )

  it.effect("is not followed where it is none, names nothing, or another protocol", () =>
    Effect.gen(function* () {
      const { requests, transport } = transports.make({ status: 200 })
      for (const response of [
        first("https://storage.test/a", 299),
        first(),
        first("http://[", 307),
        first("file:///etc/passwd"),
        first("ftp://storage.test/a")
      ]) {
        assert.strictEqual(yield* follow(transport, response, subject), response)
      }
      assert.isEmpty(requests)
      assert.strictEqual((yield* follow(transport, first("http://storage.test/a", 300), subject)).status, 200)
    })
  )

  it.effect("that fails elsewhere is retried under the caller's policy, with warnings, and has typed errors", () =>
    Effect.gen(function* () {
      const to = first("https://storage.test/a")
      const { requests, transport } = transports.make({ reason: "Connection" }, { status: 500 }, { status: 200 })
      const followed = follow(transport, to, subject).pipe(RetryPolicy.withRetryPolicy(policy))
      const { lines, value } = yield* withLines(within("6 seconds", followed))
      assert.strictEqual(value._tag, "Some")
      assert.strictEqual(requests.length, 3)
      assert.match(lines.join("\n"), /retrying after a failure: checkpointArchive/)
      const once = RetryPolicy.withRetryPolicy({ total: 0 })
      const lost = yield* errorOf(once(follow(transports.make({ reason: "Connection" }).transport, to, subject)))
      assert.deepInclude(lost, { _tag: "TransportError", url: "https://storage.test/a", method: "checkpointArchive" })
      const denied = yield* errorOf(once(follow(transports.make({ status: 403 }).transport, to, subject)))
      assert.deepInclude(denied, { _tag: "PermissionDenied", method: "checkpointArchive" })
      const died = yield* Effect.exit(follow(transports.make("defect").transport, to, subject))
      assert.include(String(died), "a defect of the exchange")
    })
  )

  it.effect("is given up when its caller is interrupted", () =>
    Effect.gen(function* () {
      const { requests, state, transport } = transports.make("silence")
      const fiber = yield* Effect.fork(follow(transport, first("https://storage.test/a"), subject))
      yield* Effect.yieldNow()
      assert.strictEqual(requests.length, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(state.released, 1)
    })
  )
})
