/** SQLite as several processes use it: what finds the database locked waits. */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as LibsqlClient from "@effect/sql-libsql/LibsqlClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { makeRunPromise, type RunPromise } from "../effect/runtime.ts"

type Sdk = Parameters<typeof LibsqlClient.make>[0] extends infer Config
  ? Config extends { readonly liveClient: infer Client }
    ? Client
    : never
  : never

const isBusy = (error: unknown): boolean => /database is locked|SQLITE_BUSY/.test(String(error))

/** How long what finds the database locked waits. */
const patience = "60 seconds"

/** Repeats what found the database locked, as a promise, which is what the driver's users want. */
const whileBusy =
  (run: RunPromise) =>
  <A>(attempt: () => Promise<A>): Promise<A> =>
    run(
      Effect.retry(Effect.tryPromise({ try: attempt, catch: (error) => error }), {
        while: isBusy,
        schedule: Schedule.jittered(Schedule.spaced("15 millis")).pipe(Schedule.upTo(patience))
      })
    )

/** A statement that returns rows and finds the database locked would keep its connection from ever committing again. */
const isRead = (statement: unknown): boolean =>
  typeof statement === "object" &&
  statement !== null &&
  "sql" in statement &&
  /^\s*SELECT\b/i.test(String(statement.sql))

/** A transaction on a connection of its own. It locks the database when it begins: nothing within finds it locked. */
const begin = async (writer: Sdk, retried: ReturnType<typeof whileBusy>) => {
  await retried(() => writer.execute("BEGIN IMMEDIATE"))
  return {
    execute: (statement: never) => writer.execute(statement),
    commit: () => retried(() => writer.execute("COMMIT")),
    rollback: () => writer.execute("ROLLBACK")
  }
}

/** A client with one connection for transactions and one for all else. The driver's own would open one for each. */
const patient = (reader: Sdk, writer: Sdk, retried: ReturnType<typeof whileBusy>): Sdk => {
  const execute = (statement: never) =>
    isRead(statement) ? reader.execute(statement) : retried(async () => (await reader.batch([statement], "write"))[0]!)
  const client = { execute, transaction: () => begin(writer, retried) }
  return client as unknown as Sdk
}

/** How long the driver itself waits, in milliseconds, while the process waits with it. */
const shortPatience = 200

/** One connection, until the scope closes. */
const connect = Effect.fnUntraced(function* (url: URL) {
  // ids of the cluster are larger than numbers are exact
  const client = yield* LibsqlClient.make({ url, intMode: "bigint" })
  const { sdk } = client as unknown as { readonly sdk: Sdk }
  yield* Effect.promise(() => sdk.execute(`PRAGMA busy_timeout = ${shortPatience}`))
  return sdk
})

const makeClient = Effect.fnUntraced(function* (url: URL) {
  const retried = whileBusy(yield* makeRunPromise)
  const [reader, writer] = [yield* connect(url), yield* connect(url)]
  // readers do not wait for the writer, nor it for them
  yield* Effect.promise(() => retried(() => writer.execute("PRAGMA journal_mode = WAL")))
  return yield* LibsqlClient.make({ liveClient: patient(reader, writer, retried) })
})

/** @internal */
export const layer = (url: URL): Layer.Layer<SqlClient.SqlClient> =>
  Layer.scoped(SqlClient.SqlClient, makeClient(url)).pipe(Layer.provide(Reactivity.layer))
