/** The statements that read and change rows, and the values of rows in the database. */
import type { Filter } from "../backend.ts"
import type { Mutation } from "../mutations.ts"
import type { AnyRow, Column, Table } from "../tables.ts"
import type { Statement } from "./database.ts"

const columnsOf = <Row>({ columns }: Table<Row>) => Object.keys(columns) as Array<keyof Row & string>
const quoted = (names: ReadonlyArray<string>): string => names.map((name) => `"${name}"`).join(", ")

const encode = (column: Column, value: unknown): unknown => {
  if (value === undefined || value === null) return null
  if (column === "json") return JSON.stringify(value)
  return column === "flag" ? Number(value) : value
}

const decode = (column: Column, value: unknown): unknown => {
  if (value === null || value === undefined) return undefined
  switch (column) {
    case "json":
      return JSON.parse(String(value))
    case "integer":
      return Number(value)
    case "flag":
      return Number(value) !== 0
    case "text":
      return value
  }
}

/** @internal */
export const decodeRow = <Row>(table: Table<Row>, row: { readonly [column: string]: unknown }): Row =>
  Object.fromEntries(columnsOf(table).map((name) => [name, decode(table.columns[name], row[name])])) as Row

const valuesOf = (table: Table<AnyRow>, names: ReadonlyArray<string>, row: AnyRow): ReadonlyArray<unknown> =>
  names.map((name) => encode(table.columns[name]!, row[name]))

const insertInto = (table: Table<AnyRow>, rows: ReadonlyArray<AnyRow>, onConflict: string): Statement => {
  const names = columnsOf(table)
  const places = `(${names.map(() => "?").join(", ")})`
  return {
    text:
      `INSERT INTO "${table.name}" (${quoted(names)}) VALUES ${rows.map(() => places).join(", ")} ` +
      `ON CONFLICT (${quoted(table.key)}) ${onConflict}`,
    parameters: rows.flatMap((row) => valuesOf(table, names, row))
  }
}

const upsert = (table: Table<AnyRow>, rows: ReadonlyArray<AnyRow>): Statement => {
  const { adds, key, name } = table
  const changed = columnsOf(table).filter((column) => !key.includes(column))
  const sets = changed.map((column) =>
    column === adds
      ? `"${column}" = "${name}"."${column}" + excluded."${column}"`
      : `"${column}" = excluded."${column}"`
  )
  return insertInto(table, rows, `DO UPDATE SET ${sets.join(", ")}`)
}

const whereKey = (table: Table<AnyRow>, row: AnyRow): Statement => ({
  text: `WHERE ${table.key.map((column) => `"${column}" = ?`).join(" AND ")}`,
  parameters: valuesOf(table, table.key, row)
})

const patch = (table: Table<AnyRow>, row: AnyRow): ReadonlyArray<Statement> => {
  const names = Object.keys(row).filter((column) => !table.key.includes(column))
  if (names.length === 0) return []
  const where = whereKey(table, row)
  return [
    {
      text: `UPDATE "${table.name}" SET ${names.map((name) => `"${name}" = ?`).join(", ")} ${where.text}`,
      parameters: [...valuesOf(table, names, row), ...where.parameters]
    }
  ]
}

const remove = (table: Table<AnyRow>, row: AnyRow): Statement => {
  const where = whereKey(table, row)
  return { ...where, text: `DELETE FROM "${table.name}" ${where.text}` }
}

// databases limit the parameters of a statement
const maxRows = 100

/** The statements of changes to different rows: new rows of one table share a statement. @internal */
export const ofMutations = (mutations: ReadonlyArray<Mutation>): ReadonlyArray<Statement> => {
  const puts = new Map<Table<AnyRow>, Array<AnyRow>>()
  const others: Array<Statement> = []
  for (const { _tag, row, table } of mutations) {
    if (_tag === "Put") {
      const rows = puts.get(table)
      if (rows === undefined) puts.set(table, [row])
      else rows.push(row)
    } else if (_tag === "Patch") others.push(...patch(table, row))
    else others.push(remove(table, row))
  }
  const upserts = Array.from(puts).flatMap(([table, rows]) =>
    Array.from({ length: Math.ceil(rows.length / maxRows) }, (_, i) =>
      upsert(table, rows.slice(i * maxRows, (i + 1) * maxRows))
    )
  )
  return [...upserts, ...others]
}

/** Returns a row only if it was inserted. @internal */
export const insertIfAbsent = (table: Table<AnyRow>, row: AnyRow): Statement => {
  const insert = insertInto(table, [row], "DO NOTHING")
  return { ...insert, text: `${insert.text} RETURNING "${table.key[0]}"` }
}

/** @internal */
export const select = <Row>(table: Table<Row>, { ownedBy, range, where = {} }: Filter<Row>): Statement => {
  const equal = Object.entries(where) as Array<[keyof Row & string, unknown]>
  const conditions = [
    ...equal.map(([name]) => `"${name}" = ?`),
    ...(ownedBy === undefined ? [] : [`("owner" = ? OR "owner" IS NULL)`]),
    ...(range === undefined ? [] : [`"${range.column}" >= ? AND "${range.column}" < ?`])
  ]
  return {
    text:
      `SELECT ${quoted(columnsOf(table))} FROM "${table.name}"` +
      (conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`),
    parameters: [
      ...equal.map(([name, value]) => encode(table.columns[name], value)),
      ...(ownedBy === undefined ? [] : [ownedBy]),
      ...(range === undefined ? [] : [range.from, range.to])
    ]
  }
}
