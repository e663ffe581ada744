/** What holds the rows: a database, or memory. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { StoreError } from "./model.ts"
import type { Mutation } from "./mutations.ts"
import type { Table } from "./tables.ts"

/** Which rows to read. @internal */
export interface Filter<Row> {
  /** columns that must have these values */
  readonly where?: Partial<Row> | undefined
  /** only rows of this owner, and those without one */
  readonly ownedBy?: string | undefined
  /** only rows whose column is in `[from, to)` */
  readonly range?: { readonly column: keyof Row & string; readonly from: number; readonly to: number } | undefined
}

/** @internal */
export interface Backend {
  /** Applies all changes in one transaction. With `durable` they also survive a power failure. */
  readonly commit: (mutations: ReadonlyArray<Mutation>, durable: boolean) => Effect.Effect<void, StoreError>
  /** Applies a change in a synchronous step; absent where that is not possible. */
  readonly commitNow?: ((mutation: Mutation) => void) | undefined
  readonly select: <Row>(table: Table<Row>, filter: Filter<Row>) => Effect.Effect<ReadonlyArray<Row>, StoreError>
  /** Inserts a row unless one of its key exists, and returns whether it did. */
  readonly insertIfAbsent: <Row>(table: Table<Row>, row: Row) => Effect.Effect<boolean, StoreError>
}

/** Locks that end with the process that holds them. @internal */
export interface Locks {
  /** Holds a lock until the scope closes; `false` if another process or layer holds it. */
  readonly hold: (name: string) => Effect.Effect<boolean, StoreError, Scope.Scope>
  readonly isHeld: (name: string) => Effect.Effect<boolean, StoreError>
}
