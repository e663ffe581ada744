/** A SQL database as the store uses it: SQLite or PostgreSQL, behind the same few operations. */
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { makeMutex } from "../../effect/runtime.ts"
import { StoreError } from "../model.ts"

/** @internal */
export type Dialect = "sqlite" | "pg"

/** A statement with `?` for each parameter. @internal */
export interface Statement {
  readonly text: string
  readonly parameters: ReadonlyArray<unknown>
}

/** @internal */
export interface Database {
  readonly dialect: Dialect
  readonly query: (
    statement: Statement
  ) => Effect.Effect<ReadonlyArray<{ readonly [column: string]: unknown }>, StoreError>
  /** Runs statements in one transaction. With `durable` it survives a power failure. */
  readonly transaction: <A>(
    run: (query: Database["query"]) => Effect.Effect<A, StoreError>,
    durable: boolean
  ) => Effect.Effect<A, StoreError>
}

const reasonOf = (error: SqlError.SqlError): string => {
  const { cause } = error
  return cause instanceof Error ? cause.message : error.message
}

const toStoreError = (error: SqlError.SqlError): StoreError =>
  new StoreError({ reason: reasonOf(error), cause: error.cause })

const isBusy = ({ reason }: StoreError): boolean => /database is locked/.test(reason)

// the driver waits first: a read that finds the database locked would stay in progress, and prevent later commits
const busyPause = 15
const busyLimit = "60 seconds"

/** Repeats what found the database locked. */
const whileBusy = <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> => {
  const attempt: Effect.Effect<A, StoreError> = Effect.catchAll(effect, (error) =>
    isBusy(error) ? Effect.flatMap(Effect.sleep(busyPause), () => attempt) : Effect.fail(error)
  )
  return Effect.catchAll(effect, (error) =>
    isBusy(error)
      ? Effect.flatMap(Effect.timeoutOption(attempt, busyLimit), (found) =>
          found._tag === "Some"
            ? Effect.succeed(found.value)
            : new StoreError({ reason: `another process holds it for ${Duration.toSeconds(busyLimit)} seconds` })
        )
      : Effect.fail(error)
  )
}

const numbered = (text: string): string => {
  let count = 0
  return text.replace(/\?/g, () => `$${++count}`)
}

const run = (sql: SqlClient.SqlClient, dialect: Dialect, { parameters, text }: Statement) =>
  Effect.mapError(
    sql.unsafe<{ readonly [column: string]: unknown }>(dialect === "pg" ? numbered(text) : text, parameters),
    toStoreError
  )

const makePostgres = (sql: SqlClient.SqlClient): Database => {
  const query: Database["query"] = (statement) => run(sql, "pg", statement)
  return {
    dialect: "pg",
    query,
    transaction: (body) =>
      Effect.catchTag(sql.withTransaction(body(query)), "SqlError", (error) => Effect.fail(toStoreError(error)))
  }
}

/** One connection: transactions and queries take turns. */
const makeSqlite = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  const exclusively = yield* makeMutex
  const query: Database["query"] = (statement) => run(sql, "sqlite", statement)
  const command = (text: string) => query({ text, parameters: [] })
  yield* command("PRAGMA busy_timeout = 5000")
  let level = ""
  const setLevel = (wanted: string) =>
    level === wanted
      ? Effect.void
      : Effect.map(command(`PRAGMA synchronous = ${wanted}`), () => {
          level = wanted
        })
  const transaction: Database["transaction"] = (body, durable) =>
    Effect.gen(function* () {
      yield* setLevel(durable ? "FULL" : "NORMAL")
      yield* whileBusy(command("BEGIN IMMEDIATE"))
      return yield* Effect.tapErrorCause(
        Effect.tap(body(query), () => whileBusy(command("COMMIT"))),
        () => Effect.ignore(command("ROLLBACK"))
      )
    }).pipe(Effect.uninterruptible, exclusively)
  const made: Database = {
    dialect: "sqlite",
    query: (statement) => exclusively(whileBusy(query(statement))),
    transaction
  }
  return made
})

/** @internal */
export const make = (sql: SqlClient.SqlClient): Effect.Effect<Database, StoreError> =>
  sql.onDialectOrElse({
    pg: () => Effect.succeed(makePostgres(sql)),
    sqlite: () => makeSqlite(sql),
    orElse: () => new StoreError({ reason: "it must be SQLite or PostgreSQL" })
  })
