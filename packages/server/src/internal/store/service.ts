/** The store of a service: its records, its locks, and what tells its process from others. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ids from "../util/ids.ts"
import type { Backend, Locks } from "./backend.ts"
import { Journal } from "./journal.ts"
import type * as model from "./model.ts"
import * as records from "./records.ts"
import * as tables from "./tables.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** names this process, or layer, in records */
  readonly instance: string
  readonly sessions: records.Records<model.SessionRow>
  readonly runs: records.Records<model.RunRow>
  readonly samplers: records.Records<model.SamplerRow>
  readonly checkpoints: records.Records<model.CheckpointRow>
  readonly reservations: records.Records<model.ReservationRow>
  readonly uploads: records.Records<model.UploadRow>
  /** `put` adds to the count of a row that exists. */
  readonly usage: records.Records<model.UsageRow>
  readonly audit: records.Records<model.AuditRow>
  readonly users: records.Records<model.UserRow>
  /** Reserves a path, unless it is reserved; returns whether it did. */
  readonly reserve: (row: model.ReservationRow) => Effect.Effect<boolean, model.StoreError>
  /** Whether a process runs that has this name. */
  readonly isRunning: (instance: string) => Effect.Effect<boolean, model.StoreError>
  /** Holds a lock until the scope closes or the process ends; `false` if another holds it. */
  readonly hold: (lock: string) => Effect.Effect<boolean, model.StoreError, Scope.Scope>
  /** whether services may listen on it side by side */
  readonly isShared: boolean
  /** An effect that waits until all is committed that was recorded by now. */
  readonly mark: () => Effect.Effect<void, model.StoreError>
}

/** A store, and what ends it as the end of its process would. @internal */
export interface Made {
  readonly store: Service
  readonly kill: () => void
}

const lockOf = (instance: string): string => `instance-${instance}`

/** @internal */
export const make = (
  backend: Backend,
  locks: Locks,
  isShared: boolean
): Effect.Effect<Made, model.StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const instance = yield* ids.uuid
    yield* locks.hold(lockOf(instance))
    const journal = new Journal(backend, yield* Effect.scope)
    yield* Effect.addFinalizer(() => journal.close)
    const of = <Row>(table: tables.Table<Row>) => records.make(backend, journal, table)
    const store: Service = {
      instance,
      sessions: of(tables.sessions),
      runs: of(tables.runs),
      samplers: of(tables.samplers),
      checkpoints: of(tables.checkpoints),
      reservations: of(tables.reservations),
      uploads: of(tables.uploads),
      usage: of(tables.usage),
      audit: of(tables.audit),
      users: of(tables.users),
      reserve: (row) => backend.insertIfAbsent(tables.reservations, row),
      isRunning: (other) => (other === instance ? Effect.succeed(true) : locks.isHeld(lockOf(other))),
      hold: locks.hold,
      isShared,
      mark: () => journal.mark()
    }
    return { store, kill: () => journal.kill() }
  })
