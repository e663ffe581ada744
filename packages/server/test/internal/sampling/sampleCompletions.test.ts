import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as completions from "../../../src/internal/sampling/sampleCompletions.ts"
import { maxRemembered, type SamplerRecord, type Samplers } from "../../../src/internal/sampling/samplers.ts"
import * as futures from "../../../src/internal/work/futures.ts"
import * as outcomes from "../../../src/internal/work/outcomes.ts"

const done = outcomes.done({ json: () => ({ a: 1 }) })

/** A sampling session whose results are held as those of a service. */
const make = (hasSession = true) =>
  Effect.sync(() => {
    const held = new futures.Futures(Duration.hours(1))
    const load = futures.makeLoad(held.loadOf(undefined))
    let touched = 0
    const record = {
      id: "s:sample:0",
      session: hasSession ? { touch: Effect.sync(() => void touched++) } : undefined,
      completions: new Map()
    } as unknown as SamplerRecord
    const samplers = {
      environment: { futures: held, settings: { longPoll: Duration.seconds(20) } },
      find: () => Effect.succeed(record)
    } as unknown as Samplers
    /** A sample of a client that ends. */
    const complete = (client: number, n: number, outcome: outcomes.Outcome = done) =>
      Effect.gen(function* () {
        const id = `s:sample:0:${client}-${n}`
        const entry = held.add({
          event: { name: "Sample", target: "s", seq_id: n, queued: 0 },
          receipt: { id, envelope: {} },
          touch: Effect.void,
          load,
          bytes: 1
        })
        yield* held.complete(entry, outcome)
        yield* completions.addCompletion(record, client * 1e9 + n, id, outcome)
        return id
      })
    const retrieve = (
      prev_cursor: number,
      options: { readonly client?: number; readonly timeout?: number; readonly retrieved?: ReadonlyArray<string> } = {}
    ) =>
      completions.retrieveCompletions(samplers, {
        target: { type: "sampling_session", sampling_session_id: record.id, cloned_sampler_id: options.client ?? 0 },
        prev_cursor,
        retrieved_request_ids: options.retrieved ?? [],
        timeout: options.timeout
      } as never)
    return { complete, record, retrieve, held, load, touches: () => touched }
  })

const idsOf = (response: { readonly completions: ReadonlyArray<{ readonly request_id: string }> }) =>
  response.completions.map(({ request_id }) => request_id.split(":").at(-1))

describe("completed samples", () => {
  it.effect("are listed for the client that sent them, with how they ended and their size", () =>
    Effect.gen(function* () {
      const { complete, record, retrieve, touches } = yield* make()
      yield* complete(0, 5)
      yield* complete(2, 5)
      yield* complete(0, 4, outcomes.failed("no", "user"))
      yield* completions.addCompletion(record, undefined, "s:sample:0:unnumbered", done)
      assert.deepStrictEqual(yield* retrieve(0), {
        completions: [
          { request_id: "s:sample:0:0-5", state: "finished", response_payload_uncompressed_size: 7 },
          { request_id: "s:sample:0:0-4", state: "failed" },
          { request_id: "s:sample:0:unnumbered", state: "finished" }
        ],
        cursor: 3
      })
      assert.deepStrictEqual(idsOf(yield* retrieve(0, { client: 2 })), ["2-5"])
      assert.strictEqual(touches(), 2)
    })
  )

  it.effect("behind the cursor are listed once, and those before it are forgotten", () =>
    Effect.gen(function* () {
      const { complete, retrieve } = yield* make()
      for (let n = 0; n < 4; n++) yield* complete(0, n)
      const rest = yield* retrieve(3)
      assert.deepStrictEqual([idsOf(rest), rest.cursor], [["0-3"], 4])
      yield* complete(0, 4)
      // what was received does not come again, whatever cursor is sent
      const again = yield* retrieve(1)
      assert.deepStrictEqual([idsOf(again), again.cursor], [["0-3", "0-4"], 5])
      const last = yield* retrieve(4)
      assert.deepStrictEqual([idsOf(last), last.cursor], [["0-4"], 5])
      const none = yield* retrieve(5, { timeout: 0 })
      assert.deepStrictEqual(none, { completions: [], cursor: 5 })
      // a cursor ahead of what has completed
      const ahead = yield* Effect.fork(retrieve(7))
      yield* TestClock.adjust(0)
      yield* complete(0, 5)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* Fiber.join(ahead), { completions: [], cursor: 7 })
      const { _tag, detail } = yield* Effect.flip(retrieve(-1))
      assert.deepStrictEqual([_tag, detail], ["BadRequestResponse", "prev_cursor is -1, which is below 0"])
    })
  )

  it.effect("are waited for until one comes, or for as long as the client says and at most 20 seconds", () =>
    Effect.gen(function* () {
      const { complete, retrieve } = yield* make()
      for (const [timeout, millis] of [
        [undefined, 20_000],
        [3, 3000],
        [1000, 20_000]
      ] as const) {
        const waiting = yield* Effect.fork(retrieve(0, timeout === undefined ? {} : { timeout }))
        yield* TestClock.adjust(millis - 1)
        assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)), String(timeout))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* Fiber.join(waiting), { completions: [], cursor: 0 })
      }
      for (const timeout of [0, -5])
        assert.deepStrictEqual(yield* retrieve(0, { timeout }), { completions: [], cursor: 0 })
      const waiting = yield* Effect.fork(retrieve(0))
      yield* TestClock.adjust("1 seconds")
      // one of another client ends no wait
      yield* complete(3, 0)
      yield* TestClock.adjust(0)
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      yield* complete(0, 1)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(idsOf(yield* Fiber.join(waiting)), ["0-1"])
      // one that is there already ends the wait at once
      assert.deepStrictEqual(idsOf(yield* retrieve(0)), ["0-1"])
    })
  )

  it.effect("that the client has received are evicted, and none of other sampling sessions", () =>
    Effect.gen(function* () {
      const { complete, held, load, retrieve } = yield* make()
      const id = yield* complete(0, 1)
      const other = held.add({
        event: { name: "Sample", target: "s", seq_id: 1, queued: 0 },
        receipt: { id: "s:sample:01:1", envelope: {} },
        touch: Effect.void,
        load,
        bytes: 1
      })
      yield* held.complete(other, done)
      assert.strictEqual(held.size, 2)
      yield* retrieve(0, { retrieved: [id, "s:sample:01:1", "nothing"] })
      assert.strictEqual(held.size, 1)
      assert.strictEqual((yield* held.find("s:sample:01:1")).receipt.id, "s:sample:01:1")
    })
  )

  it.effect("of no session are not listed", () =>
    Effect.gen(function* () {
      const { complete, record, retrieve } = yield* make(false)
      yield* complete(0, 1)
      assert.strictEqual(record.completions.size, 0)
      assert.deepStrictEqual(yield* retrieve(0, { timeout: 0 }), { completions: [], cursor: 0 })
    })
  )

  it.effect("are listed up to 10,000, without the older half beyond", () =>
    Effect.gen(function* () {
      const { record, retrieve } = yield* make()
      const add = (n: number) => completions.addCompletion(record, n, `s:sample:0:${n}`, done)
      for (let n = 0; n < maxRemembered; n++) yield* add(n)
      assert.strictEqual((yield* retrieve(0)).completions.length, maxRemembered)
      yield* add(maxRemembered)
      const rest = yield* retrieve(0)
      assert.strictEqual(rest.completions[0]!.request_id, `s:sample:0:${maxRemembered / 2}`)
      assert.deepStrictEqual([rest.completions.length, rest.cursor], [maxRemembered / 2 + 1, maxRemembered + 1])
    })
  )
})
