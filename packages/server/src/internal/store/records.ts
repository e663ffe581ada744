/** Typed access to the rows of one table. */
import * as Effect from "effect/Effect"
import type { Backend, Filter } from "./backend.ts"
import type { Journal, Urgency } from "./journal.ts"
import type { StoreError } from "./model.ts"
import type { Mutation } from "./mutations.ts"
import type { AnyRow, Table } from "./tables.ts"

/**
 * The records of one kind. `put`, `patch` and `remove` return when the change is committed and survives a power failure:
 * then it may be acknowledged.
 *
 * @since 0.1.0
 * @category models
 */
export interface Records<Row> {
  /** Adds a record, or replaces the one of its key. */
  readonly put: (row: Row) => Effect.Effect<void, StoreError>
  /** Changes some fields of a record, which are given with its key. Does nothing if there is none. */
  readonly patch: (row: Partial<Row>) => Effect.Effect<void, StoreError>
  readonly remove: (key: Partial<Row>) => Effect.Effect<void, StoreError>
  /**
   * Adds or changes a record without waiting: it is committed with the next group. `Service.mark` waits for it. With
   * `idle` nothing waits for it, and a few seconds may pass.
   */
  readonly later: {
    readonly put: (row: Row) => Effect.Effect<void>
    readonly patch: (row: Partial<Row>, urgency?: "idle" | undefined) => Effect.Effect<void>
  }
  readonly get: (key: Partial<Row>) => Effect.Effect<Row | undefined, StoreError>
  readonly list: (filter?: Filter<Row>) => Effect.Effect<ReadonlyArray<Row>, StoreError>
}

/** @internal */
export const make = <Row>(backend: Backend, journal: Journal, typed: Table<Row>): Records<Row> => {
  const table = typed as unknown as Table<AnyRow>
  const mutation = (_tag: Mutation["_tag"], row: Partial<Row>): Mutation => ({ _tag, table, row: row as AnyRow })
  const later = (tag: Mutation["_tag"], row: Partial<Row>, urgency: Urgency = "prompt") =>
    journal.append(mutation(tag, row), urgency)
  return {
    put: (row) => journal.write(mutation("Put", row)),
    patch: (row) => journal.write(mutation("Patch", row)),
    remove: (key) => journal.write(mutation("Remove", key)),
    later: {
      put: (row) => later("Put", row),
      patch: (row, urgency) => later("Patch", row, urgency)
    },
    get: (key) => Effect.map(backend.select(typed, { where: key }), ([row]) => row),
    list: (filter = {}) => backend.select(typed, filter)
  }
}
