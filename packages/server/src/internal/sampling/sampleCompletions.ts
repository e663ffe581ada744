/** The completed samples of a sampling session, which its clients can await together (`retrieve_futures`). */
import type * as Future from "@effect-tinker/api/Future"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { makeDeferredUnsafe } from "../effect/runtime.ts"
import * as responses from "../util/responses.ts"
import type * as outcomes from "../work/outcomes.ts"
import { type Completions, maxRemembered, type SamplerRecord, type Samplers } from "./samplers.ts"

// the seq_id of a sample contains the number of the client that sent it
const clientOf = (seqId: number | undefined): number => Math.floor((seqId ?? 0) / 1e9)

const completionsOf = (record: SamplerRecord, client: number): Completions => {
  const before = record.completions.get(client)
  if (before !== undefined) return before
  const completions: Completions = { removed: 0, entries: [], changed: makeDeferredUnsafe(), polls: 0, waiting: 0 }
  record.completions.set(client, completions)
  return completions
}

const removeOldest = (completions: Completions, count: number): void => {
  completions.removed += completions.entries.splice(0, count).length
}

/** Lists a completed sample, and wakes the requests that await completions. @internal */
export const addCompletion = (
  record: SamplerRecord,
  seqId: number | undefined,
  request_id: string,
  outcome: outcomes.Outcome
): Effect.Effect<void> =>
  Effect.suspend(() => {
    // completions of samples that belong to no session cannot be requested
    if (record.session === undefined) return Effect.void
    const completions = completionsOf(record, clientOf(seqId))
    const { changed } = completions
    completions.entries.push({ request_id, state: outcome._tag === "Done" ? "finished" : "failed" })
    // a client that polls for each sample never requests them
    if (completions.entries.length > maxRemembered) removeOldest(completions, maxRemembered / 2)
    completions.changed = makeDeferredUnsafe()
    return Effect.asVoid(Deferred.succeed(changed, undefined))
  })

/**
 * Waits, and cancels the samples of a client that hangs up meanwhile and does not ask again within `hangUpGrace`, as
 * `retrieveResult` does for one sample.
 */
const noticingHangUp = <A>(
  { environment: { forkApart, futures, settings } }: Samplers,
  record: SamplerRecord,
  client: number,
  wait: Effect.Effect<A>
): Effect.Effect<A> =>
  Effect.suspend(() => {
    const completions = completionsOf(record, client)
    const poll = ++completions.polls
    completions.waiting++
    const abandon = Effect.suspend(() =>
      completions.waiting === 0 && completions.polls === poll
        ? futures.abandonAll(pendingOf(record, client))
        : Effect.void
    )
    return wait.pipe(
      Effect.onInterrupt(() => forkApart(Effect.andThen(Effect.sleep(settings.hangUpGrace), abandon))),
      Effect.ensuring(
        Effect.sync(() => {
          completions.waiting--
        })
      )
    )
  })

/** The ids of the samples that a client has submitted. */
const pendingOf = ({ requests }: SamplerRecord, client: number): ReadonlyArray<string> =>
  Array.from(requests).flatMap(([seqId, { receipt }]) => (clientOf(seqId) === client ? [receipt.id] : []))

/** Waits until a client has completions after its cursor, and lists them. @internal */
export const retrieveCompletions = Effect.fnUntraced(function* (
  samplers: Samplers,
  request: Future.RetrieveFuturesRequest
): Effect.fn.Return<Future.RetrieveFuturesResponse, responses.OperationRejection> {
  const { futures, settings } = samplers.environment
  const { prev_cursor, retrieved_request_ids, target, timeout } = request
  const record = yield* samplers.find(target.sampling_session_id)
  if (record.session !== undefined) yield* record.session.touch
  if (prev_cursor < 0) return yield* responses.badRequest(`prev_cursor is ${prev_cursor}, which is below 0`)
  const completions = completionsOf(record, target.cloned_sampler_id)
  for (const id of retrieved_request_ids) if (id.startsWith(`${record.id}:`)) futures.release(id)
  const wait = Duration.min(settings.longPoll, Duration.seconds(Math.max(0, timeout ?? Infinity)))
  // the client has received those before its cursor; a count below 0 removes none
  removeOldest(completions, prev_cursor - completions.removed)
  if (completions.removed + completions.entries.length <= prev_cursor) {
    yield* noticingHangUp(
      samplers,
      record,
      target.cloned_sampler_id,
      futures.awaitEvent(Deferred.await(completions.changed), wait)
    )
  }
  const from = Math.max(prev_cursor, completions.removed)
  const found = yield* Effect.forEach(completions.entries.slice(from - completions.removed), (entry) =>
    Effect.map(futures.resultSize(entry.request_id), (size) =>
      size === undefined ? entry : { ...entry, response_payload_uncompressed_size: size }
    )
  )
  return { completions: found, cursor: from + found.length }
})
