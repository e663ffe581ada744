import type * as Audit from "@effect-tinker/api/Audit"
import type * as Billing from "@effect-tinker/api/Billing"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as caller from "../auth/currentUser.ts"

/** What was used, and by whom. @internal */
export interface Usage {
  readonly owner: string | undefined
  readonly session_id: string | undefined
  readonly base_model: string
  readonly type: "training" | "sampling_prefill" | "sampling_sample" | "checkpoint"
  /** tokens, or checkpoints */
  readonly count: number
}

/** What has been done since the service started: usage by the hour, and what happened to checkpoints. @internal */
export interface Ledger {
  readonly use: (usage: Usage) => Effect.Effect<void>
  /** what the caller used in hours that begin in a window, by hour, and most first */
  readonly usage: (
    from: number,
    to: number
  ) => Effect.Effect<ReadonlyArray<Billing.UsageEvent & { readonly session_id: string | undefined }>>
  readonly note: (
    owner: string | undefined,
    event: string,
    path: TinkerPath.TinkerPath,
    details?: object
  ) => Effect.Effect<void>
  /** what happened to the caller's checkpoints in a span of time, in order */
  readonly notes: (from: number, to: number) => Effect.Effect<ReadonlyArray<Audit.Entry>>
}

const hour = 60 * 60 * 1000
// the oldest make room
const maxNotes = 10_000

/** @internal */
export const make = (): Ledger => {
  const hours = new Map<number, Map<string, { readonly usage: Usage; count: number }>>()
  const notes: Array<{ readonly owner: string | undefined; readonly at: number; readonly entry: Audit.Entry }> = []

  const infoOf = ({ type }: Usage, count: number): Billing.EventInfo => {
    switch (type) {
      case "checkpoint":
        return { type, count }
      case "sampling_prefill":
        return { type, cached: false, token_count: count }
      default:
        return { type, token_count: count }
    }
  }

  return {
    use: (usage) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const start = now - (now % hour)
        const bucket = hours.get(start) ?? new Map()
        hours.set(start, bucket)
        const key = JSON.stringify([usage.owner, usage.session_id, usage.base_model, usage.type])
        const before = bucket.get(key)
        if (before === undefined) bucket.set(key, { usage, count: usage.count })
        else before.count += usage.count
      }),
    usage: (from, to) =>
      Effect.map(caller.Caller, (user) =>
        Array.from(hours)
          .filter(([start]) => start >= from && start < to)
          .sort(([a], [b]) => a - b)
          .flatMap(([start, bucket]) =>
            Array.from(bucket.values())
              .filter(({ usage }) => caller.owns(user, usage.owner))
              .sort((a, b) => b.count - a.count)
              .map(({ count, usage }) => ({
                bucket_start: DateTime.unsafeMake(start),
                bucket_end: DateTime.unsafeMake(start + hour),
                base_model: usage.base_model,
                user_id: caller.shown(usage.owner),
                session_id: usage.session_id,
                event_info: infoOf(usage, count)
              }))
          )
      ),
    note: (owner, event, path, details = {}) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const tinker_path = TinkerPath.format(path)
        const event_details = { tinker_path, ...(owner === undefined ? {} : { user_id: owner }), ...details }
        notes.push({ owner, at: now, entry: { timestamp: DateTime.unsafeMake(now), event, event_details } })
        if (notes.length > maxNotes) notes.splice(0, notes.length - maxNotes)
      }),
    notes: (from, to) =>
      Effect.map(caller.Caller, (user) =>
        notes.filter(({ at, owner }) => at >= from && at < to && caller.owns(user, owner)).map(({ entry }) => entry)
      )
  }
}
