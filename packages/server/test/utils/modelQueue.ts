/** The queue of a model alone, without a service around it. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { ModelQueue } from "../../src/internal/models/modelQueue.ts"
import type * as responses from "../../src/internal/util/responses.ts"
import * as futures from "../../src/internal/work/futures.ts"
import * as outcomes from "../../src/internal/work/outcomes.ts"

/** A queue of operations whose order is recorded. */
export const make = (options: { readonly maxAhead?: number; readonly recordsLater?: boolean } = {}) =>
  Effect.gen(function* () {
    const results = new futures.Futures(Duration.hours(1))
    const load = futures.makeLoad(results.loadOf(undefined))
    const queue = new ModelQueue({
      scope: yield* Effect.scope,
      futures: results,
      gapTimeout: Duration.seconds(60),
      maxAhead: options.maxAhead ?? 100,
      name: "model m"
    })
    const ran: Array<number | string> = []
    const released: Array<number> = []
    const entries = new Map<number | string, futures.Entry>()
    const entry = (id: number | string) => {
      const made = results.add({
        event: { name: "Forward", target: "m", seq_id: undefined, queued: 0 },
        receipt: { id: String(id), envelope: {} },
        touch: Effect.void,
        load,
        bytes: 1
      })
      entries.set(id, made)
      return made
    }
    /** An operation that ends when its gate is opened, or at once. */
    const submit = (
      seqId: number | undefined,
      extra: {
        readonly fingerprint?: string
        readonly gate?: Deferred.Deferred<void> | undefined
        readonly check?: (seqId: number) => responses.OperationRejection | undefined
      } = {}
    ) =>
      queue.add(seqId, {
        fingerprint: extra.fingerprint ?? `f${seqId}`,
        check: extra.check,
        entry,
        work: (id) =>
          Effect.gen(function* () {
            ran.push(id)
            if (extra.gate !== undefined) yield* Deferred.await(extra.gate)
            return outcomes.done({ json: () => id })
          }),
        release: (id) => Effect.sync(() => void released.push(id))
      })
    const close = queue.close({
      entry: () => entry("last"),
      work: Effect.sync(() => {
        ran.push("last")
        return outcomes.done({ json: () => "last" })
      }),
      outcome: outcomes.failed("it was unloaded", "user")
    })
    /** How an operation ended, or `undefined`. */
    const outcomeOf = (id: number | string) =>
      Effect.gen(function* () {
        yield* TestClock.adjust(0)
        const polled = yield* Deferred.poll(entries.get(id)!.result)
        return Option.isNone(polled) ? undefined : yield* polled.value
      })
    return { queue, ran, released, entries, submit, close, outcomeOf, settle: TestClock.adjust(0), results, load }
  })

export const rejectionOf = <A>(effect: Effect.Effect<A, responses.OperationRejection>) =>
  Effect.map(Effect.flip(effect), ({ _tag, detail }) => `${_tag}: ${detail}`)

/** Whether an effect has not ended. */
export const isWaiting = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust(0)
    const waits = Option.isNone(yield* Fiber.poll(fiber))
    yield* Fiber.interrupt(fiber)
    return waits
  })
