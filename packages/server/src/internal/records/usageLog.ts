/** Counts the tokens and checkpoints that each user consumed, by the hour. */
import type * as Billing from "@effect-tinker/api/Billing"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Store from "../../Store.ts"
import * as currentUser from "../auth/currentUser.ts"
import { recordTokens } from "../monitoring/metrics.ts"

/** One use of the service. @internal */
export interface Usage {
  /** the user that it is billed to */
  readonly owner: string | undefined
  readonly session_id: string | undefined
  readonly base_model: string
  readonly type: "training" | "sampling_prefill" | "sampling_sample" | "checkpoint"
  /** number of tokens, or of checkpoints */
  readonly count: number
}

type UsageEvent = Billing.UsageEvent & { readonly session_id: string | undefined }

/** @internal */
export interface UsageLog {
  /** Adds to the totals of this hour. They are committed with the next group. */
  readonly record: (usage: Usage) => Effect.Effect<void>
  /** Usage of the current user in the hours that start in `[from, to)`, by hour, the largest count first. */
  readonly events: (from: number, to: number) => Effect.Effect<ReadonlyArray<UsageEvent>>
}

const hourMillis = 60 * 60 * 1000

const eventInfo = (type: Usage["type"], count: number): Billing.EventInfo => {
  switch (type) {
    case "checkpoint":
      return { type, count }
    case "sampling_prefill":
      return { type, cached: false, token_count: count }
    default:
      return { type, token_count: count }
  }
}

const orAbsent = (text: string): string | undefined => (text === "" ? undefined : text)

const toUsageEvent = ({ base_model, count, hour, owner, session_id, type }: Store.UsageRow): UsageEvent => ({
  bucket_start: DateTime.unsafeMake(hour),
  bucket_end: DateTime.unsafeMake(hour + hourMillis),
  base_model,
  user_id: currentUser.ownerName(orAbsent(owner)),
  session_id: orAbsent(session_id),
  event_info: eventInfo(type, count)
})

const eventsOf = (rows: ReadonlyArray<Store.UsageRow>, user: currentUser.User): ReadonlyArray<UsageEvent> =>
  rows
    .filter(({ owner }) => currentUser.owns(user, orAbsent(owner)))
    .sort((a, b) => a.hour - b.hour || b.count - a.count)
    .map(toUsageEvent)

/** @internal */
export const make = ({ usage: totals }: Store.Service): UsageLog => ({
  record: ({ base_model, count, owner = "", session_id = "", type }) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (type !== "checkpoint") recordTokens(type, count)
      return totals.later.put({ hour: now - (now % hourMillis), owner, session_id, base_model, type, count })
    }),
  events: (from, to) =>
    Effect.map(
      Effect.all([Effect.orDie(totals.list({ range: { column: "hour", from, to } })), currentUser.CurrentUser]),
      ([rows, user]) => eventsOf(rows, user)
    )
})
