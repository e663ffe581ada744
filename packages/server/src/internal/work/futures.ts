import type * as Future from "@effect-tinker/api/Future"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as currentUser from "../auth/currentUser.ts"
import * as responses from "../util/responses.ts"
import * as traces from "../records/traces.ts"

/** How an operation ended. @internal */
export type Outcome = Done | Failed

/** A form of a result's body. @internal */
export type Form = "json" | "protobuf"

/** @internal */
export interface Done {
  readonly _tag: "Done"
  /** the result in the form that is wanted, or as JSON where it has no other; throws when it cannot be encoded */
  readonly body: (wanted: Form) => { readonly form: Form; readonly bytes: Uint8Array }
}

/** @internal */
export interface Failed {
  readonly _tag: "Failed"
  readonly error: string
  readonly category: Future.Category
}

/** @internal */
export const failed = (error: string, category: Future.Category): Failed => ({ _tag: "Failed", error, category })

/** A result, encoded when it is first asked for. @internal */
export const done = (encode: {
  readonly json: () => unknown
  readonly protobuf?: () => Either.Either<Uint8Array, Error>
}): Done => {
  let last: { readonly form: Form; readonly bytes: Uint8Array } | undefined
  return {
    _tag: "Done",
    body: (wanted) => {
      const form = encode.protobuf === undefined ? "json" : wanted
      if (last?.form !== form) {
        const bytes =
          form === "json"
            ? new TextEncoder().encode(JSON.stringify(encode.json()))
            : Either.getOrThrowWith(encode.protobuf!(), (error) => error)
        last = { form, bytes }
      }
      return last
    }
  }
}

/** What the answer to a submission says; the result is not held by it. @internal */
export interface Ticket {
  readonly id: string
  /** fields of the envelope besides the id */
  readonly envelope: Omit<Future.FutureEnvelope, "request_id">
}

/** What a session has of operations. @internal */
export interface SessionLoad {
  readonly owner: string | undefined
  /** how many have no result yet */
  pending: number
  /** those whose result was given out and is held still, by their bytes; the newest last */
  readonly delivered: Map<string, number>
  deliveredBytes: number
  readonly trace: traces.Trace
}

/** @internal */
export const load = (owner: string | undefined): SessionLoad => ({
  owner,
  pending: 0,
  delivered: new Map(),
  deliveredBytes: 0,
  trace: traces.make()
})

/** Why there is no result yet. @internal */
export interface QueueState {
  readonly queue_state: "active" | "paused_capacity"
  readonly queue_state_reason?: string
}

/** An operation whose result will come. @internal */
export interface Entry {
  readonly load: SessionLoad
  readonly about: Pick<traces.Event, "name" | "target" | "seq_id" | "queued">
  /** when its work began */
  started?: number
  /** what a poll tells while there is no result; `active` where it is absent */
  state?: (() => QueueState) | undefined
  readonly ticket: Ticket
  readonly result: Deferred.Deferred<Outcome>
  /** says that somebody still cares for the session that the operation belongs to */
  readonly touch: Effect.Effect<void>
  /** stops the work; absent where it cannot be stopped alone */
  cancel?: Effect.Effect<void>
}

/** @internal */
export interface Futures {
  readonly unsafeAdd: (options: Omit<Entry, "result">) => Entry
  readonly complete: (entry: Entry, outcome: Outcome) => Effect.Effect<void>
  readonly find: (id: string) => Effect.Effect<Entry, responses.NotFound | responses.Gone>
  /** waits so long at most */
  readonly wait: (entry: Entry, atMost: Duration.Duration) => Effect.Effect<Option.Option<Outcome>>
  /** waits so long at most, and no longer than results are waited for at all */
  readonly waitFor: (event: Effect.Effect<void>, atMost: Duration.Duration) => Effect.Effect<void>
  /** bytes of a result that is held; `undefined` where there is none, or it cannot be encoded */
  readonly size: (id: string) => Effect.Effect<number | undefined>
  /** A result of so many bytes was given out: it is held until enough others were, for a client that did not get it. */
  readonly delivered: (entry: Entry, bytes: number) => void
  /** lets go of a result that is done, before its time */
  readonly drop: (id: string) => void
  /** ends all waits, now and later */
  readonly stopWaiting: Effect.Effect<void>
}

// of one session: more than clients have under way
const deliveredHeld = 2000
const deliveredBytesHeld = 128 * 2 ** 20
// so many are known to have been there
const droppedKnown = 4000

/**
 * Results are dropped when they are older than `retention`, or when they and enough others were given out. Nothing is
 * held of what they came from.
 *
 * @internal
 */
export const make = (retention: Duration.Duration): Effect.Effect<Futures> =>
  Effect.gen(function* () {
    const entries = new Map<string, Entry>()
    const dropped = new Set<string>()
    // when, in order of completion
    const completed = new Map<string, number>()
    const stopped = yield* Deferred.make<void>()

    const drop = (id: string) => {
      const load = entries.get(id)?.load
      if (load !== undefined) {
        load.deliveredBytes -= load.delivered.get(id) ?? 0
        load.delivered.delete(id)
      }
      entries.delete(id)
      completed.delete(id)
      dropped.add(id)
      if (dropped.size > droppedKnown) for (const oldest of dropped) return void dropped.delete(oldest)
    }

    const prune = (now: number) => {
      const limit = now - Duration.toMillis(retention)
      for (const [id, at] of completed) {
        if (at >= limit) return
        drop(id)
      }
    }

    return {
      unsafeAdd: (options) => {
        const entry = { ...options, result: Deferred.unsafeMake<Outcome>(FiberId.none) }
        entries.set(entry.ticket.id, entry)
        entry.load.pending++
        return entry
      },
      complete: (entry, outcome) =>
        Effect.gen(function* () {
          if (!(yield* Deferred.succeed(entry.result, outcome))) return
          entry.load.pending--
          // they hold what was asked for
          entry.state = undefined
          if (entry.cancel !== undefined) entry.cancel = Effect.void
          const now = yield* Clock.currentTimeMillis
          prune(now)
          completed.set(entry.ticket.id, now)
          traces.add(entry.load.trace, {
            ...entry.about,
            started: entry.started,
            ended: now,
            outcome: outcome._tag === "Done" ? "done" : "failed"
          })
        }),
      find: (id) =>
        Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Entry, responses.NotFound | responses.Gone> => {
          prune(now)
          const entry = entries.get(id)
          if (entry !== undefined) {
            return currentUser.authorize(
              entry.load.owner,
              () => Effect.succeed(entry),
              () => responses.notFound(`there is no request ${id}`)
            )
          }
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
      waitFor: (event, atMost) =>
        event.pipe(Effect.raceFirst(Deferred.await(stopped)), Effect.timeoutOption(atMost), Effect.asVoid),
      size: (id) =>
        Effect.gen(function* () {
          const entry = entries.get(id)
          const poll = entry === undefined ? Option.none() : yield* Deferred.poll(entry.result)
          if (Option.isNone(poll)) return undefined
          const outcome = yield* poll.value
          if (outcome._tag === "Failed") return undefined
          // the poll for the result says why it cannot be encoded
          return yield* Effect.try(() => outcome.body("protobuf").bytes.byteLength).pipe(
            Effect.orElseSucceed(() => undefined)
          )
        }),
      delivered: ({ load, ticket: { id } }, bytes) => {
        const { delivered } = load
        if (!entries.has(id)) return
        load.deliveredBytes += bytes - (delivered.get(id) ?? 0)
        delivered.delete(id)
        delivered.set(id, bytes)
        for (const oldest of delivered.keys()) {
          if (delivered.size <= deliveredHeld && load.deliveredBytes <= deliveredBytesHeld) return
          // the newest stays, whatever it takes
          if (oldest !== id) drop(oldest)
        }
      },
      drop: (id) => {
        if (completed.has(id)) drop(id)
      },
      stopWaiting: Effect.asVoid(Deferred.succeed(stopped, undefined))
    }
  })
