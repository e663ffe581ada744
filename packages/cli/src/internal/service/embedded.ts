/** The embedded service, loaded when a command needs it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as runtime from "../effect/runtime.ts"
import { CliError } from "../errors/cliError.ts"
import * as Io from "../terminal/io.ts"
import type * as local from "./local.ts"

/** The API key that a client sends to a service that accepts any key. @internal */
export const anyKey = "tml-local"

const toCliError = (title: string) => (cause: unknown) =>
  new CliError({ title, details: cause instanceof Error ? cause.message : String(cause), cause })

/** Imports `local.ts`, and with it the engine and the server. @internal */
export const load = Effect.tryPromise({
  try: () => import("./local.ts"),
  catch: toCliError("The embedded service cannot be loaded")
})

/** Starts the embedded service on a port of this machine. It runs until the scope closes. @internal */
export const start = (options: Omit<local.Options, "log">): Effect.Effect<local.Local, CliError, Io.Io | Scope.Scope> =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const fork = yield* runtime.makeFork
    const { start } = yield* load
    return yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => start({ ...options, log: (line) => fork(io.err(`${line}\n`)) }),
        catch: toCliError("The embedded service did not start")
      }),
      ({ close }) => Effect.promise(close)
    )
  })
