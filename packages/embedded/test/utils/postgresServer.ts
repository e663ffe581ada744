/** Runs a PostgreSQL server for tests until it is ended. Prints the URL of its database, or why there is none. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as postgres from "./postgres.ts"

const print = (line: string) => Effect.sync(() => process.stdout.write(`${line.replaceAll("\n", " ")}\n`))

NodeRuntime.runMain(
  Effect.scoped(Effect.flatMap(postgres.make, (url) => Effect.andThen(print(Redacted.value(url)), Effect.never))).pipe(
    Effect.catchAll(({ reason }) => print(reason))
  )
)
