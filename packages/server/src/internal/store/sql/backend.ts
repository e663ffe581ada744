/** The rows of the store in a SQL database. */
import * as Effect from "effect/Effect"
import type { Backend } from "../backend.ts"
import { StoreError } from "../model.ts"
import type { AnyRow, Table } from "../tables.ts"
import type { Database } from "./database.ts"
import * as statements from "./statements.ts"

const decodeRows = <Row>(table: Table<Row>, rows: ReadonlyArray<{ readonly [column: string]: unknown }>) =>
  Effect.try({
    try: () => rows.map((row) => statements.decodeRow(table, row)),
    catch: (cause) => new StoreError({ reason: `a row of ${table.name} is damaged`, cause })
  })

/** SQLite's driver may keep the lock of an insert that returns rows until the statement is collected. */
const insertInTransaction = (database: Database, table: Table<AnyRow>, row: AnyRow) =>
  database.transaction(
    (query) =>
      Effect.gen(function* () {
        const where = Object.fromEntries(table.key.map((column) => [column, row[column]]))
        if ((yield* query(statements.select(table, { where }))).length > 0) return false
        yield* Effect.forEach(statements.ofMutations([{ _tag: "Put", table, row }]), query, { discard: true })
        return true
      }),
    false
  )

/** @internal */
export const make = (database: Database): Backend => ({
  commit: (mutations, durable) =>
    database.transaction(
      (query) => Effect.forEach(statements.ofMutations(mutations), query, { discard: true }),
      durable
    ),
  select: (table, filter) =>
    Effect.flatMap(database.query(statements.select(table, filter)), (rows) => decodeRows(table, rows)),
  insertIfAbsent: (table, row) =>
    database.dialect === "pg"
      ? Effect.map(
          database.query(statements.insertIfAbsent(table as unknown as Table<AnyRow>, row as AnyRow)),
          (rows) => rows.length > 0
        )
      : insertInTransaction(database, table as unknown as Table<AnyRow>, row as AnyRow)
})
