/** The store in memory: its rows outlive a service, if they are passed to the next. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Backend, Filter, Locks } from "./backend.ts"
import { History, maxRowsByDefault } from "./history.ts"
import type { SessionRow } from "./model.ts"
import type { Mutation } from "./mutations.ts"
import * as tables from "./tables.ts"
import { type AnyRow, keyOf, type Table } from "./tables.ts"

/** All rows, by table and key, and the locks that are held. @internal */
export interface MemoryState {
  readonly tables: Map<string, Map<string, AnyRow>>
  readonly histories: Map<string, History>
  readonly locks: Set<string>
  /** of each table and owner */
  readonly maxRows: number
}

/** @internal */
export const makeState = (maxRows = maxRowsByDefault): MemoryState => ({
  tables: new Map(),
  histories: new Map(),
  locks: new Set(),
  maxRows
})

const entryOf = <A>(entries: Map<string, A>, name: string, make: () => A): A => {
  const before = entries.get(name)
  if (before !== undefined) return before
  const entry = make()
  entries.set(name, entry)
  return entry
}

const rowsOf = ({ tables }: MemoryState, name: string): Map<string, AnyRow> => entryOf(tables, name, () => new Map())

/** Drops the oldest history of the owner of a new row, if there is too much. */
const bound = (state: MemoryState, table: Table<AnyRow>, key: string, row: AnyRow): void => {
  const { isDisposable } = table
  if (isDisposable === undefined) return
  const rows = rowsOf(state, table.name)
  const sessions = rowsOf(state, tables.sessions.name) as Map<string, AnyRow & SessionRow>
  const history = entryOf(state.histories, table.name, () => new History(state.maxRows))
  const dropped = history.add(String(row["owner"] ?? ""), key, (other) => {
    const found = rows.get(other)
    return found === undefined || isDisposable(found, (session) => sessions.get(session)?.status.type === "active")
  })
  if (dropped !== undefined) rows.delete(dropped)
}

const apply = (state: MemoryState, { _tag, row, table }: Mutation): void => {
  const rows = rowsOf(state, table.name)
  const key = keyOf(table, row)
  const before = rows.get(key)
  if (_tag === "Remove") rows.delete(key)
  else if (_tag === "Patch") {
    if (before !== undefined) rows.set(key, { ...before, ...row })
  } else {
    const { adds } = table
    const total =
      adds === undefined || before === undefined ? row : { ...row, [adds]: Number(before[adds]) + Number(row[adds]) }
    rows.set(key, total)
    if (before === undefined) bound(state, table, key, row)
  }
}

const matches = <Row>(row: Row, { ownedBy, range, where = {} }: Filter<Row>): boolean => {
  const { owner } = row as { readonly owner?: string | undefined }
  if (ownedBy !== undefined && owner !== undefined && owner !== ownedBy) return false
  if (range !== undefined) {
    const value = Number(row[range.column])
    if (!(value >= range.from && value < range.to)) return false
  }
  return Object.entries(where).every(([column, value]) => row[column as keyof Row] === value)
}

/** The rows that may match: the one with the key, if the filter names the whole key, so that lookups scan no table. */
const candidates = <Row>(state: MemoryState, table: Table<Row>, { where }: Filter<Row>): Array<Row> => {
  const rows = rowsOf(state, table.name) as Map<string, AnyRow & Row>
  if (where === undefined || !table.key.every((column) => where[column] !== undefined)) return Array.from(rows.values())
  const row = rows.get(keyOf(table, where))
  return row === undefined ? [] : [row]
}

/** With a delay, commits take that long, and end with the process like those of a database. @internal */
export const makeBackend = (
  state: MemoryState,
  delay: Duration.Duration | undefined,
  isDead: () => boolean
): Backend => ({
  commit: (mutations) => {
    const all = Effect.sync(() => {
      if (!isDead()) for (const mutation of mutations) apply(state, mutation)
    })
    return delay === undefined ? all : Effect.delay(all, delay)
  },
  commitNow: delay === undefined ? (mutation) => apply(state, mutation) : undefined,
  select: <Row>(table: Table<Row>, filter: Filter<Row>) =>
    Effect.sync(() => candidates(state, table, filter).filter((row) => matches(row, filter))),
  insertIfAbsent: <Row>(table: Table<Row>, row: Row) =>
    Effect.sync(() => {
      const rows = rowsOf(state, table.name)
      const key = keyOf(table, row)
      if (rows.has(key) || isDead()) return false
      rows.set(key, row as AnyRow)
      return true
    })
})

/** @internal */
export const makeLocks = ({ locks }: MemoryState): Locks => ({
  hold: (name) =>
    Effect.acquireRelease(
      Effect.sync(() => !locks.has(name) && locks.add(name) !== undefined),
      (held) => Effect.sync(() => held && locks.delete(name))
    ),
  isHeld: (name) => Effect.sync(() => locks.has(name))
})
