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

/**
 * A statement that returns rows and finds the database locked stays in progress, and its connection commits no more. So each
 * runs in a transaction, whose end ends it.
 */
const isRead = (statement: unknown): boolean =>
  typeof statement === "object" &&
  statement !== null &&
  "sql" in statement &&
  /^\s*SELECT\b/i.test(String(statement.sql))

/** Lets the writes of this process take turns, so that they do not find the database locked by each other. */
const makeTurns = () => {
  let last = Promise.resolve()
  /** Waits for its turn, and returns the function that ends it. */
  return async () => {
    const before = last
    let end = () => {}
    last = new Promise((resolve) => {
      end = resolve
    })
    await before
    return end
  }
}

/** A transaction on a connection of its own. It locks the database when it begins: nothing within finds it locked. */
const begin = async (writer: Sdk, turn: () => Promise<() => void>, retried: ReturnType<typeof whileBusy>) => {
  const end = await turn()
  try {
    await retried(() => writer.execute("BEGIN IMMEDIATE"))
  } catch (error) {
    end()
    throw error
  }
  return {
    execute: (statement: never) => writer.execute(statement),
    commit: async () => {
      try {
        return await writer.execute("COMMIT")
      } catch (error) {
        await writer.execute("ROLLBACK").catch(() => {})
        throw error
      } finally {
        end()
      }
    },
    rollback: () => writer.execute("ROLLBACK").finally(end)
  }
}

/** A client with one connection for writes and one for reads. The driver's own would open one for each transaction. */
const patient = (reader: Sdk, writer: Sdk, retried: ReturnType<typeof whileBusy>): Sdk => {
  const turn = makeTurns()
  const write = async (statement: never) => {
    const end = await turn()
    return retried(async () => (await writer.batch([statement], "write"))[0]!).finally(end)
  }
  const read = (statement: never) => retried(async () => (await reader.batch([statement], "deferred"))[0]!)
  const execute = (statement: never) => (isRead(statement) ? read(statement) : write(statement))
  const client = { execute, transaction: () => begin(writer, turn, retried) }
  return client as unknown as Sdk
}

/**
 * How long the driver itself waits, in milliseconds, while the process waits with it. Others hold the lock for a few; a
 * statement that is given up stays in progress until it is collected, and no commit succeeds before.
 */
const driverPatience = 5000

/** One connection, until the scope closes. */
const connect = Effect.fnUntraced(function* (url: URL) {
  // ids of the cluster are larger than numbers are exact
  const client = yield* LibsqlClient.make({ url, intMode: "bigint" })
  const { sdk } = client as unknown as { readonly sdk: Sdk }
  yield* Effect.promise(() => sdk.execute(`PRAGMA busy_timeout = ${driverPatience}`))
  return sdk
})

/** Lets readers and a writer work side by side. This may find the database locked: each attempt has a connection of its own. */
const enableWal = (url: URL) =>
  Effect.flatMap(connect(url), (sdk) => Effect.tryPromise(() => sdk.execute("PRAGMA journal_mode = WAL"))).pipe(
    Effect.scoped,
    Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo(patience))),
    Effect.orDie
  )

const makeClient = Effect.fnUntraced(function* (url: URL) {
  yield* enableWal(url)
  const retried = whileBusy(yield* makeRunPromise)
  const [reader, writer] = [yield* connect(url), yield* connect(url)]
  return yield* LibsqlClient.make({ liveClient: patient(reader, writer, retried) })
})

/** @internal */
export const layer = (url: URL): Layer.Layer<SqlClient.SqlClient> =>
  Layer.scoped(SqlClient.SqlClient, makeClient(url)).pipe(Layer.provide(Reactivity.layer))
