/** Counts the tokens and checkpoints that each user consumed, by the hour. */
import type * as Billing from "@effect-tinker/api/Billing"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as currentUser from "../auth/currentUser.ts"

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

/** The hourly total of uses that share owner, session, base model and type. */
interface UsageTotal {
  readonly usage: Usage
  count: number
}

type UsageEvent = Billing.UsageEvent & { readonly session_id: string | undefined }

/** Usage since the service started. It is kept in memory. @internal */
export interface UsageLog {
  readonly record: (usage: Usage) => Effect.Effect<void>
  /** Usage of the current user in the hours that start in `[from, to)`, by hour, the largest count first. */
  readonly events: (from: number, to: number) => Effect.Effect<ReadonlyArray<UsageEvent>>
}

/** Totals by the start of the hour, then by owner, session, base model and type. */
type HourlyTotals = Map<number, Map<string, UsageTotal>>

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

const addUsage = (hours: HourlyTotals, usage: Usage, now: number): void => {
  const start = now - (now % hourMillis)
  const totals = hours.get(start) ?? new Map<string, UsageTotal>()
  hours.set(start, totals)
  const key = JSON.stringify([usage.owner, usage.session_id, usage.base_model, usage.type])
  const total = totals.get(key)
  if (total === undefined) totals.set(key, { usage, count: usage.count })
  else total.count += usage.count
}

const toUsageEvent = (start: number, { count, usage }: UsageTotal): UsageEvent => ({
  bucket_start: DateTime.unsafeMake(start),
  bucket_end: DateTime.unsafeMake(start + hourMillis),
  base_model: usage.base_model,
  user_id: currentUser.ownerName(usage.owner),
  session_id: usage.session_id,
  event_info: eventInfo(usage.type, count)
})

const eventsOf = (hours: HourlyTotals, user: currentUser.User, from: number, to: number): ReadonlyArray<UsageEvent> =>
  Array.from(hours)
    .filter(([start]) => start >= from && start < to)
    .sort(([a], [b]) => a - b)
    .flatMap(([start, totals]) =>
      Array.from(totals.values())
        .filter(({ usage }) => currentUser.owns(user, usage.owner))
        .sort((a, b) => b.count - a.count)
        .map((total) => toUsageEvent(start, total))
    )

/** @internal */
export const make = (): UsageLog => {
  const hours: HourlyTotals = new Map()
  return {
    record: (usage) => Effect.map(Clock.currentTimeMillis, (now) => addUsage(hours, usage, now)),
    events: (from, to) => Effect.map(currentUser.CurrentUser, (user) => eventsOf(hours, user, from, to))
  }
}
