import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { CliError } from "./cliError.ts"
import * as Io from "./io.ts"
import type * as local from "./local.ts"

/** What a client sends where the service takes every key. @internal */
export const anyKey = "tml-local"

/** Loads what runs the embedded service. @internal */
export const load = Effect.tryPromise({
  try: () => import("./local.ts"),
  catch: (cause) =>
    new CliError({
      title: "The embedded service cannot be loaded",
      details: cause instanceof Error ? cause.message : String(cause),
      cause
    })
})

/** The embedded service, behind a port of this machine, for as long as the scope is open. @internal */
export const start = (options: Omit<local.Options, "log">): Effect.Effect<local.Local, CliError, Io.Io | Scope.Scope> =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const run = Runtime.runFork(yield* Effect.runtime())
    const { start } = yield* load
    return yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => start({ ...options, log: (line) => run(io.err(`${line}\n`)) }),
        catch: (cause) =>
          new CliError({
            title: "The embedded service did not start",
            details: cause instanceof Error ? cause.message : String(cause),
            cause
          })
      }),
      ({ close }) => Effect.promise(close)
    )
  })
