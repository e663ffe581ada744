import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { PauseTooLong, UnexpectedResponse } from "../../../src/internal/huggingFace/failures.ts"
import { type Fetch, makeFetch, placeholder } from "../../../src/internal/huggingFace/request.ts"

const endpoint = "https://hub.test"
const token = "api_org_secret"
const info = `${endpoint}/api/models/ada/adapter`

interface Sent {
  readonly url: string
  readonly authorization: string | null
  /** In virtual time. */
  readonly at: number
}

/** A `fetch` that goes through the responses, the last of which stays. */
const makeScript = (responses: ReadonlyArray<() => Response>) =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const sent: Array<Sent> = []
    const script: Fetch = async (input, init) => {
      const authorization = new Headers(init?.headers).get("authorization")
      sent.push({ url: String(input), authorization, at: clock.unsafeCurrentTimeMillis() })
      if (init?.body instanceof Blob) for await (const _ of init.body.stream() as unknown as AsyncIterable<unknown>);
      return responses[Math.min(sent.length, responses.length) - 1]!()
    }
    const pauses: Array<number> = []
    const onPause = (seconds: number) => Effect.sync(() => void pauses.push(seconds))
    return { sent, pauses, fetch: yield* makeFetch({ endpoint, token, onPause }, script) }
  })

const json =
  (status: number, headers: Record<string, string> = {}) =>
  () =>
    new Response("{}", { status, headers: { "content-type": "application/json", ...headers } })

const lost = () => {
  throw new TypeError("fetch failed", { cause: new Error("ECONNRESET") })
}

/** Sends a request, while virtual time passes. */
const send = (fetch: Fetch, url: string, init: RequestInit = {}) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.tryPromise({ try: () => fetch(url, init), catch: (cause) => cause }))
    for (let i = 0; i < 40; i++) {
      yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("10 seconds")
    }
    return yield* Effect.either(Fiber.join(fiber))
  })

const authorized = { headers: { authorization: `Bearer ${placeholder}` } }

describe("requests to the hub", () => {
  it.effect("carry the token to the hub alone, and never to its storage", () =>
    Effect.gen(function* () {
      const { fetch, sent } = yield* makeScript([json(200)])
      yield* send(fetch, info, authorized)
      yield* send(fetch, "https://storage.test/large", authorized)
      yield* send(fetch, `${endpoint}.evil.test/api/x`, authorized)
      yield* send(fetch, `${endpoint}/api/complete`, { method: "POST" })
      assert.deepStrictEqual(
        sent.map(({ authorization }) => authorization),
        [`Bearer ${token}`, null, null, null]
      )
    })
  )

  it.effect("are repeated after lost connections and errors of the server, and a bounded number of times", () =>
    Effect.gen(function* () {
      const once = yield* makeScript([lost, json(503), json(200)])
      assert.strictEqual((yield* send(once.fetch, info))._tag, "Right")
      assert.strictEqual(once.sent.length, 3)
      const never = yield* makeScript([json(502)])
      const result = yield* send(never.fetch, info)
      assert.strictEqual(result._tag === "Right" ? result.right.status : undefined, 502)
      assert.strictEqual(never.sent.length, 5)
    })
  )

  it.effect("are not repeated after other errors, nor when that may open a second pull request", () =>
    Effect.gen(function* () {
      const forbidden = yield* makeScript([json(403)])
      yield* send(forbidden.fetch, info)
      assert.strictEqual(forbidden.sent.length, 1)
      const commit = `${endpoint}/api/models/ada/adapter/commit/main?create_pr=1`
      for (const response of [lost, json(500)]) {
        const pullRequest = yield* makeScript([response, json(200)])
        yield* send(pullRequest.fetch, commit, { method: "POST" })
        assert.strictEqual(pullRequest.sent.length, 1)
      }
      const busy = yield* makeScript([json(429), json(200)])
      assert.strictEqual((yield* send(busy.fetch, commit, { method: "POST" }))._tag, "Right")
    })
  )

  it.effect("wait as long as Retry-After or the hub's RateLimit says, and say so", () =>
    Effect.gen(function* () {
      for (const headers of [
        { "retry-after": "120" },
        { "retry-after": new Date(120_000).toUTCString() },
        { ratelimit: '"api";r=0;t=120' }
      ]) {
        const { fetch, pauses, sent } = yield* makeScript([json(429, headers), json(200)])
        const start = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        if (start > 0) yield* TestClock.setTime(0)
        assert.strictEqual((yield* send(fetch, info))._tag, "Right")
        assert.deepStrictEqual(pauses, [120])
        assert.isAtLeast(sent[1]!.at - sent[0]!.at, 120_000)
      }
    })
  )

  it.effect("fail at once if the pause is longer than five minutes", () =>
    Effect.gen(function* () {
      const { fetch, sent } = yield* makeScript([json(429, { "retry-after": "3600" })])
      const result = yield* send(fetch, info)
      assert.strictEqual(sent.length, 1)
      assert.instanceOf(result._tag === "Left" ? result.left : undefined, PauseTooLong)
    })
  )

  it.effect("fail with the reason if the response is a web page", () =>
    Effect.gen(function* () {
      const page = () => new Response("<!doctype html>Log in", { headers: { "content-type": "text/html" } })
      const { fetch, sent } = yield* makeScript([page])
      const result = yield* send(fetch, info)
      assert.strictEqual(sent.length, 1)
      assert.instanceOf(result._tag === "Left" ? result.left : undefined, UnexpectedResponse)
    })
  )

  it.effect("are repeated if there is no response within a minute", () =>
    Effect.gen(function* () {
      let calls = 0
      const silent: Fetch = (_, init) =>
        calls++ > 0
          ? Promise.resolve(json(200)())
          : new Promise((_, reject) => init!.signal!.addEventListener("abort", () => reject(new Error("aborted"))))
      const fetch = yield* makeFetch({ endpoint, token, onPause: () => Effect.void }, silent)
      assert.strictEqual((yield* send(fetch, info))._tag, "Right")
      assert.strictEqual(calls, 2)
    })
  )

  it.effect("report the share of a file that was sent, over all of its parts", () =>
    Effect.gen(function* () {
      const { fetch } = yield* makeScript([json(200)])
      const shares: Array<number> = []
      const progressCallback = (share: number) => void shares.push(share)
      for (const part of [0, 1]) {
        const progressHint = { path: "a", part, numParts: 2, progressCallback }
        const init = { method: "PUT", body: new Blob(["x".repeat(10)]), progressHint }
        yield* send(fetch, "https://storage.test/a", init as RequestInit)
      }
      assert.deepStrictEqual(shares, [0.5, 1])
    })
  )
})
