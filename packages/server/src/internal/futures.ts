import type * as Future from "@effect-tinker/api/Future"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as responses from "./responses.ts"

/** How an operation ended. `body` is the result's JSON, made when it is first asked for. @internal */
export type Outcome = Done | Failed

/** @internal */
export interface Done {
  readonly _tag: "Done"
  readonly body: () => Uint8Array
}

/** @internal */
export interface Failed {
  readonly _tag: "Failed"
  readonly error: string
  readonly category: Future.Category
}

/** @internal */
export const failed = (error: string, category: Future.Category): Failed => ({ _tag: "Failed", error, category })

/** A result that is encoded once, and then held as bytes alone. @internal */
export const done = (encode: () => unknown): Done => {
  let make: (() => unknown) | undefined = encode
  let bytes: Uint8Array | undefined
  return {
    _tag: "Done",
    body: () => {
      if (make !== undefined) {
        bytes = new TextEncoder().encode(JSON.stringify(make()))
        make = undefined
      }
      return bytes!
    }
  }
}

/** An operation whose result will come. @internal */
export interface Entry {
  readonly id: string
  readonly result: Deferred.Deferred<Outcome>
  /** says that somebody still cares for the session that the operation belongs to */
  readonly touch: Effect.Effect<void>
  /** fields of the envelope besides the id */
  readonly envelope: Omit<Future.FutureEnvelope, "request_id">
}

/** @internal */
export interface Futures {
  readonly unsafeAdd: (options: Omit<Entry, "result">) => Entry
  readonly complete: (entry: Entry, outcome: Outcome) => Effect.Effect<void>
  readonly find: (id: string) => Effect.Effect<Entry, responses.NotFound | responses.Gone>
  /** waits so long at most */
  readonly wait: (entry: Entry, atMost: Duration.Duration) => Effect.Effect<Option.Option<Outcome>>
  /** ends all waits, now and later */
  readonly stopWaiting: Effect.Effect<void>
}

/** Results are dropped when they are older than `retention`. @internal */
export const make = (retention: Duration.Duration): Effect.Effect<Futures> =>
  Effect.gen(function* () {
    const entries = new Map<string, Entry>()
    const dropped = new Set<string>()
    // in order of completion
    const completed: Array<{ readonly id: string; readonly at: number }> = []
    const stopped = yield* Deferred.make<void>()

    const prune = (now: number) => {
      const limit = now - Duration.toMillis(retention)
      let old = 0
      while (old < completed.length && completed[old]!.at < limit) {
        entries.delete(completed[old]!.id)
        dropped.add(completed[old]!.id)
        old++
      }
      if (old > 0) completed.splice(0, old)
    }

    return {
      unsafeAdd: (options) => {
        const entry = { ...options, result: Deferred.unsafeMake<Outcome>(FiberId.none) }
        entries.set(entry.id, entry)
        return entry
      },
      complete: (entry, outcome) =>
        Effect.gen(function* () {
          if (!(yield* Deferred.succeed(entry.result, outcome))) return
          const now = yield* Clock.currentTimeMillis
          prune(now)
          completed.push({ id: entry.id, at: now })
        }),
      find: (id) =>
        Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Entry, responses.NotFound | responses.Gone> => {
          prune(now)
          const entry = entries.get(id)
          if (entry !== undefined) return Effect.succeed(entry)
          return dropped.has(id)
            ? responses.gone(`the result of request ${id} is no longer held`)
            : responses.notFound(`there is no request ${id}`)
        }),
      wait: (entry, atMost) =>
        Effect.flatMap(Deferred.poll(entry.result), (now) =>
          Option.isSome(now)
            ? Effect.asSome(now.value)
            : Deferred.await(entry.result).pipe(
                Effect.asSome,
                Effect.raceFirst(Effect.as(Deferred.await(stopped), Option.none<Outcome>())),
                Effect.timeoutTo({ duration: atMost, onTimeout: Option.none, onSuccess: (outcome) => outcome })
              )
        ),
      stopWaiting: Effect.asVoid(Deferred.succeed(stopped, undefined))
    }
  })
