/** Records who created, changed and deleted which checkpoint, and when. */
import type * as Audit from "@effect-tinker/api/Audit"
import * as TinkerPath from "@effect-tinker/api/TinkerPath"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Store from "../../Store.ts"
import * as currentUser from "../auth/currentUser.ts"

/** @internal */
export interface AuditLog {
  /** The entry is committed with the next group. */
  readonly record: (
    owner: string | undefined,
    event: string,
    path: TinkerPath.TinkerPath,
    details?: object
  ) => Effect.Effect<void>
  /** Entries on the current user's checkpoints between two times in milliseconds, the oldest first. */
  readonly entries: (from: number, to: number) => Effect.Effect<ReadonlyArray<Audit.Entry>>
}

const detailsOf = (owner: string | undefined, path: TinkerPath.TinkerPath, details: object) => ({
  tinker_path: TinkerPath.format(path),
  ...(owner === undefined ? {} : { user_id: owner }),
  ...details
})

const toEntry = ({ details, event, recorded_at }: Store.AuditRow): Audit.Entry => ({
  timestamp: DateTime.unsafeMake(recorded_at),
  event,
  event_details: details
})

const byTime = (a: Store.AuditRow, b: Store.AuditRow): number => a.recorded_at - b.recorded_at || (a.id < b.id ? -1 : 1)

/** @internal */
export const make = ({ audit, instance }: Store.Service): AuditLog => {
  let count = 0
  // in the order of the entries
  const nextId = () => `${instance}-${String(count++).padStart(12, "0")}`
  return {
    record: (owner, event, path, details = {}) =>
      Effect.flatMap(Clock.currentTimeMillis, (recorded_at) =>
        audit.later.put({ id: nextId(), owner, recorded_at, event, details: detailsOf(owner, path, details) })
      ),
    entries: (from, to) =>
      Effect.gen(function* () {
        const { id: ownedBy } = yield* currentUser.CurrentUser
        const rows = yield* Effect.orDie(audit.list({ ownedBy, range: { column: "recorded_at", from, to } }))
        return rows.slice().sort(byTime).map(toEntry)
      })
  }
}
