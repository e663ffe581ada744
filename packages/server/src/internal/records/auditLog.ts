/** Records who created, changed and deleted which checkpoint, and when. */
import type * as Audit from "@effect-tinker/api/Audit"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as currentUser from "../auth/currentUser.ts"

/** The latest changes to checkpoints since the service started. They are kept in memory. @internal */
export interface AuditLog {
  readonly record: (
    owner: string | undefined,
    event: string,
    path: TinkerPath.TinkerPath,
    details?: object
  ) => Effect.Effect<void>
  /** Entries on the current user's checkpoints between two times in milliseconds, the oldest first. */
  readonly entries: (from: number, to: number) => Effect.Effect<ReadonlyArray<Audit.Entry>>
}

interface OwnedEntry {
  readonly owner: string | undefined
  readonly recordedAt: number
  readonly entry: Audit.Entry
}

// beyond this the oldest entries are evicted
const maxEntries = 10_000

const toEntry = (
  now: number,
  owner: string | undefined,
  event: string,
  path: TinkerPath.TinkerPath,
  details: object
): Audit.Entry => ({
  timestamp: DateTime.unsafeMake(now),
  event,
  event_details: {
    tinker_path: TinkerPath.format(path),
    ...(owner === undefined ? {} : { user_id: owner }),
    ...details
  }
})

/** @internal */
export const make = (): AuditLog => {
  const log: Array<OwnedEntry> = []
  return {
    record: (owner, event, path, details = {}) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        log.push({ owner, recordedAt: now, entry: toEntry(now, owner, event, path, details) })
        if (log.length > maxEntries) log.splice(0, log.length - maxEntries)
      }),
    entries: (from, to) =>
      Effect.map(currentUser.CurrentUser, (user) =>
        log
          .filter(({ owner, recordedAt }) => recordedAt >= from && recordedAt < to && currentUser.owns(user, owner))
          .map(({ entry }) => entry)
      )
  }
}
