/** The embedded service, loaded when a command needs it. */
import * as TinkerConfig from "@effect-tinker/client/TinkerConfig"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as runtime from "../effect/runtime.ts"
import { CliError } from "../errors/cliError.ts"
import * as settings from "../util/settings.ts"
import * as Io from "../terminal/io.ts"
import type * as local from "./local.ts"

/** The API key that a client sends to a service that accepts any key. @internal */
export const anyKey = "tml-local"

const toCliError = (title: string) => (cause: unknown) =>
  new CliError({ title, details: cause instanceof Error ? cause.message : String(cause), cause })

/** Environment variables that select a remote service. */
const remoteSettings = ["TINKER_API_KEY", "TINKER_BASE_URL", "TINKER_CREDENTIAL_CMD"]

/** Whether there is neither a key in the environment nor a stored one; a key that cannot be used is another matter. */
const lacksKey = Effect.map(
  Effect.either(TinkerConfig.fromConfig()),
  (config) => Either.isLeft(config) && config.left.path === "apiKey"
)

/** Whether commands use the embedded service: the environment names no other, and no key is stored. @internal */
export const isOnlyService: Effect.Effect<boolean> = Effect.flatMap(
  Effect.forEach(remoteSettings, settings.optional),
  (named) => (named.some(Option.isSome) ? Effect.succeed(false) : lacksKey)
)

/** Imports `local.ts`, and with it the engine and the server. @internal */
export const load = Effect.tryPromise({
  try: () => import("./local.ts"),
  catch: toCliError("The embedded service cannot be loaded")
})

/** The URL of the database for the service's records, from the option or the environment. It is not printed. */
const databaseUrl = Effect.fnUntraced(function* (given: Option.Option<string>) {
  const url = Option.getOrUndefined(Option.isSome(given) ? given : yield* settings.optional("TINKER_DATABASE_URL"))
  if (url === undefined) return undefined
  const io = yield* Io.Io
  yield* io.redact(url)
  if (!/^postgres(ql)?:\/\//.test(url)) {
    return yield* new CliError({
      title: "The database cannot be used",
      details: "--database and TINKER_DATABASE_URL take a URL such as postgres://user@host/name"
    })
  }
  return url
})

/** Copies the store in a directory, which may be in use, to a new directory. @internal */
export const backup = (from: string, to: string, database: Option.Option<string>) =>
  Effect.gen(function* () {
    if ((yield* databaseUrl(database)) !== undefined) {
      return yield* new CliError({
        title: "The store was not copied",
        details: "its records are in PostgreSQL: copy them with pg_dump first, and then the directory of checkpoints"
      })
    }
    const { backup } = yield* load
    return yield* Effect.tryPromise({ try: () => backup(from, to), catch: toCliError("The store was not copied") })
  })

/** Writes a base model with an adapter merged in. Interruption waits until what was begun is removed. @internal */
export const exportModel = (options: local.ExportOptions): Effect.Effect<void, CliError> =>
  Effect.flatMap(load, ({ exportModel }) =>
    Effect.async<void, CliError>((resume) => {
      const controller = new AbortController()
      const done = exportModel(options, controller.signal).then(
        () => resume(Effect.void),
        (cause: unknown) => resume(Effect.fail(toCliError("The model was not exported")(cause)))
      )
      return Effect.promise(() => {
        controller.abort()
        return done
      })
    })
  )

/** Which executor the engine takes on this machine, and why. @internal */
export const chooseExecutor = Effect.flatMap(load, ({ chooseExecutor }) =>
  Effect.tryPromise({ try: chooseExecutor, catch: toCliError("The engine cannot compute here") })
)

/** Starts the embedded service on a port of this machine. It runs until the scope closes. @internal */
export const start = (
  given: Omit<local.Options, "database" | "log"> & { readonly database?: Option.Option<string> | undefined }
): Effect.Effect<local.Local, CliError, Io.Io | Scope.Scope> =>
  Effect.gen(function* () {
    const io = yield* Io.Io
    const options = { ...given, database: yield* databaseUrl(given.database ?? Option.none()) }
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
