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
    Effect.map(
      database.query(statements.insertIfAbsent(table as unknown as Table<AnyRow>, row as AnyRow)),
      (rows) => rows.length > 0
    )
})
