/** A credential that is kept and renewed, with a source that does what the test says. */
import * as TinkerError from "@effect-tinker/api/TinkerError"
import { withWarnings } from "@effect-tinker/testing/Logs"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import type * as lease from "../../../src/internal/auth/lease.ts"
import { type Known, Renewal } from "../../../src/internal/auth/renewal.ts"

const busy = new TinkerError.ServerError({ method: "authToken", status: 503, detail: "busy." })
const refused = new TinkerError.Unauthorized({ method: "authToken", status: 401, detail: "no" })

const leaseOf = (text: string, renewAt: number, expiresAt: number): lease.Lease => ({
  value: Redacted.make(text),
  renewAt,
  expiresAt
})

type Fetch = (known: Known) => Effect.Effect<lease.Lease, TinkerError.TinkerError>

/** The n-th fetch is the n-th step, and the last one from then on. */
const of = (...steps: ReadonlyArray<Fetch>) => {
  const known: Array<Known> = []
  const renewal = new Renewal({
    name: "the token",
    fetch: (state) => Effect.suspend(() => steps[Math.min(known.push(state), steps.length) - 1]!(state))
  })
  return { renewal, known, get: Effect.map(renewal.get, Redacted.value), count: () => known.length }
}

const gives =
  (text: string, renewAt: number, expiresAt: number): Fetch =>
  () =>
    Effect.succeed(leaseOf(text, renewAt, expiresAt))
const fails =
  (error: TinkerError.TinkerError): Fetch =>
  () =>
    Effect.fail(error)

describe("a credential that is renewed", () => {
  it.effect("is used until it expires, and not at that time", () =>
    Effect.gen(function* () {
      const { count, get } = of(gives("a", 9000, 1000), gives("b", 9000, 9000))
      assert.strictEqual(yield* get, "a")
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* get, "a")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* get, "b")
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("is renewed on demand, before it is due and at its end", () =>
    Effect.gen(function* () {
      const { count, known, renewal } = of(
        gives("a", 9000, 1000),
        fails(busy),
        gives("b", 9000, 2000),
        gives("c", 1, 1)
      )
      const renew = Effect.map(renewal.renew, Redacted.value)
      assert.strictEqual(yield* renew, "a")
      assert.strictEqual(yield* Effect.flip(renew), busy)
      assert.strictEqual(yield* renew, "b")
      assert.deepStrictEqual(
        known.map(({ held }) => held && Redacted.value(held.value)),
        [undefined, "a", "a"]
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* renew, "c")
      assert.deepStrictEqual([count(), known[3]?.held], [4, undefined])
    })
  )

  it.effect("is waited for half of what is left, and never where the renewal has taken five seconds", () =>
    Effect.gen(function* () {
      const { get } = of(gives("a", 1000, 5000), () => Effect.never)
      yield* get
      yield* TestClock.adjust("1 seconds")
      const waiting = yield* Effect.fork(get)
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* Fiber.poll(waiting))._tag, "None")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(waiting), "a")
      const long = of(gives("a", 4000, 100_000), () => Effect.never)
      yield* long.get
      yield* TestClock.adjust("1 seconds")
      const first = yield* Effect.fork(long.get)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(first), "a")
      const next = yield* Effect.fork(long.get)
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Fiber.poll(next))._tag, "Some")
    })
  )

  it.effect("that is required waits for the renewal that runs, and for one more where that one fails", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { count, get, renewal } = of(
        gives("a", 0, 1000),
        () => Effect.zipRight(Deferred.await(gate), Effect.fail(busy)),
        gives("b", 9000, 9000)
      )
      yield* get
      const renewing = yield* Effect.fork(Effect.flip(renewal.renew))
      yield* TestClock.adjust("1 seconds")
      const waiting = yield* Effect.fork(get)
      yield* TestClock.adjust(0)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(renewing), busy)
      assert.strictEqual(yield* Fiber.join(waiting), "b")
      assert.strictEqual(count(), 3)
    })
  )

  it.effect("is replaced where it was rejected, and not where another one was", () =>
    Effect.gen(function* () {
      const { known, renewal } = of(gives("a", 9000, 9000), gives("b", 9000, 9000))
      const replace = (text: string) => Effect.map(renewal.replace(Redacted.make(text)), Redacted.value)
      assert.strictEqual(yield* replace("x"), "a")
      assert.isUndefined(known[0]!.rejected)
      assert.strictEqual(yield* replace("x"), "a")
      assert.strictEqual(yield* replace("a"), "b")
      assert.deepStrictEqual([known.length, Redacted.value(known[1]!.rejected!)], [2, "a"])
    })
  )

  it.effect("is fetched at once seven times, and then every five seconds, where none is there", () =>
    Effect.gen(function* () {
      const { count, get } = of(...Array.from({ length: 9 }, () => fails(busy)), gives("a", 9000, 99_000))
      for (let failures = 1; failures <= 8; failures++) {
        assert.strictEqual(yield* Effect.flip(get), busy)
        assert.strictEqual(count(), failures)
      }
      const ninth = yield* Effect.fork(Effect.flip(get))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(count(), 8)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(ninth), busy)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* get, "a", "the wait is over")
    })
  )

  it.effect("is fetched at once where the error will not go away, or where there is one", () =>
    Effect.gen(function* () {
      const permanent = of(fails(refused))
      for (let failures = 1; failures <= 10; failures++) {
        assert.strictEqual(yield* Effect.flip(permanent.get), refused)
        assert.strictEqual(permanent.count(), failures)
      }
      const held = of(gives("a", 90_000, 99_000), fails(busy))
      yield* held.get
      for (let failures = 1; failures <= 10; failures++) {
        assert.strictEqual(yield* Effect.flip(held.renewal.renew), busy)
        assert.strictEqual(held.count(), failures + 1)
      }
    })
  )

  it.effect("says once that there is none, until there is another reason or one in between", () =>
    Effect.gen(function* () {
      const other = new TinkerError.CredentialCommandFailed({ method: "Credentials", path: "CMD", reason: "is gone" })
      const { get } = of(fails(busy), fails(busy), fails(other), fails(refused), gives("a", 0, 1), fails(other))
      const every = (effect: Effect.Effect<unknown, unknown>) =>
        Effect.zipRight(Effect.ignore(effect), TestClock.adjust(1))
      const debug: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === LogLevel.Debug) debug.push(String(message))
      })
      const { lines } = yield* withWarnings(Effect.replicateEffect(every(get), 6))
      assert.deepStrictEqual(lines, [
        `the token could not be renewed: ${busy.message.slice(0, -1)}. There is no valid credential; requests try again.`,
        "CMD is gone. There is no valid credential; requests try again.",
        "CMD is gone. There is no valid credential; requests try again."
      ])
      const again = of(fails(busy), fails(busy))
      yield* Effect.replicateEffect(every(again.get), 2).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Logger.withMinimumLogLevel(LogLevel.Debug)
      )
      assert.deepStrictEqual(debug, [`the token could not be renewed: ${busy.message.slice(0, -1)}`])
    })
  )

  it.effect("ends with an error that names the client when it is interrupted", () =>
    Effect.gen(function* () {
      const { get, renewal } = of(() => Effect.never)
      const waiting = yield* Effect.fork(Effect.flip(get))
      yield* TestClock.adjust(0)
      yield* renewal.interrupt
      const error = yield* Fiber.join(waiting)
      assert.deepStrictEqual([error._tag, error.method], ["ClientClosed", "Credentials"])
    })
  )
})
