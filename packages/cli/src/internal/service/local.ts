/// <reference types="node" />
/**
 * Runs the embedded service behind plain promises. This module is not part of the bundle, so it may import another copy
 * of a library than its caller, and no Effect may cross the boundary.
 */
import * as ChatFormats from "@effect-tinker/cookbook/ChatFormats"
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as ModelExport from "@effect-tinker/engine/ModelExport"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as Store from "@effect-tinker/server/Store"
import type * as TextFormats from "@effect-tinker/server/TextFormats"
import * as Tokenizer from "@effect-tinker/tokenizers/Tokenizer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as otlp from "./otlp.ts"
import { oneLine } from "../terminal/logger.ts"

/** @internal */
export interface Options {
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** Base models besides the one that ships with the engine. */
  readonly models: ReadonlyArray<{ readonly name: string; readonly directory: string }>
  /** The directory in which checkpoints are stored. */
  readonly checkpoints: string
  /** Whether base models in GGUF files are sampled by their weights in few bits. */
  readonly quantizedSampling?: boolean | undefined
  /** The API keys to accept; any key if empty. */
  readonly keys: ReadonlyArray<string>
  /** Origins whose web pages may call the service. */
  readonly allowOrigins?: ReadonlyArray<string> | undefined
  /** The URL of a PostgreSQL database for the records of the service; by default they are beside the checkpoints. */
  readonly database?: string | undefined
  /** Whether no other service may use the directory or database at the same time; false. */
  readonly exclusive?: boolean | undefined
  /** How large the checkpoints of each user may be together, in bytes; no limit if absent. */
  readonly quota?: number | undefined
  /** How long to finish what runs when the service is closed; 0 if absent. */
  readonly drainSeconds?: number | undefined
  /** Whether to log each request. */
  readonly logRequests?: boolean | undefined
  /** The URL of an OpenTelemetry collector, without the path of a signal. */
  readonly otlp?: string | undefined
  readonly log: (line: string) => void
}

/** @internal */
export interface Local {
  readonly url: string
  /** The directories of all base models, which hold their tokenizers too, by name. */
  readonly tokenizers: { readonly [model: string]: string }
  /** Whether clients on this machine find a tokenizer by the name that the service gives it. */
  readonly localTokenizers: boolean
  readonly close: () => Promise<void>
}

/** The model that ships with the engine, and its directory, which holds the tokenizer too. @internal */
export const shipped = async (): Promise<{ readonly name: string; readonly directory: string }> => ({
  name: JaxEngine.nano,
  directory: await Effect.runPromise(Effect.provide(ModelDirectory.nano, NodeContext.layer))
})

/** How many tokens the model in a directory or file can read. @internal */
export const contextLength = (directory: string): Promise<number> =>
  ModelDirectory.open(directory).pipe(
    Effect.map(({ config }) => config.max_context_length),
    Effect.provide(NodeContext.layer),
    Effect.runPromise
  )

/** The records of the service: in PostgreSQL if a database is given, else beside the checkpoints. */
const layerStore = ({ checkpoints, database }: Options) =>
  database === undefined
    ? Embedded.layerStore(checkpoints)
    : Layer.unwrapEffect(
        // most services do not load it
        Effect.map(
          Effect.promise(() => import("@effect/sql-pg/PgClient")),
          (PgClient) => Store.layerPostgres.pipe(Layer.provide(PgClient.layer({ url: Redacted.make(database) })))
        )
      )

/** The formats of the models for the OpenAI protocol, from the tokenizers in their directories. */
const formatsOf = ({ models }: Options) =>
  ChatFormats.make({
    tokenizerOf: (name) => {
      const known = models.find((model) => model.name === name)
      const directory = known === undefined ? ModelDirectory.nano : Effect.succeed(known.directory)
      return Effect.provide(Effect.flatMap(directory, Tokenizer.fromDirectory), NodeContext.layer)
    }
  })

const layerOf = (options: Options) =>
  Layer.unwrapEffect(Effect.map(formatsOf(options), (formats) => layerWith(options, formats)))

/** The engine. Which executor it takes is only of interest here if it is the slow one, which is a warning. */
const layerEngine = (options: Options) =>
  Layer.scopedContext(
    Logger.withMinimumLogLevel(
      Layer.build(
        Embedded.layerEngine({
          models: options.models,
          quantizedSampling: options.quantizedSampling,
          localTokenizers: NodeServer.isLoopback(options.host)
        })
      ),
      LogLevel.Warning
    )
  )

const layerWith = (options: Options, formats: TextFormats.Service) =>
  NodeServer.layer({
    openAi: { formats },
    host: options.host,
    port: options.port,
    allowOrigins: options.allowOrigins,
    sharesStore: options.exclusive !== true,
    quota: options.quota,
    drain: Duration.seconds(options.drainSeconds ?? 0),
    apiKeys: options.keys.map((key) => Redacted.make(key))
  }).pipe(
    Layer.provide([layerEngine(options), CheckpointStore.layerFileSystem(options.checkpoints)]),
    Layer.provide(layerStore(options)),
    Layer.provide(NodeContext.layer),
    Layer.provide(
      Logger.replace(
        Logger.defaultLogger,
        Logger.make((entry) => options.log(oneLine(entry)))
      )
    ),
    Layer.provide(options.otlp === undefined ? Layer.empty : otlp.layer(options.otlp)),
    Layer.provide(Logger.minimumLogLevel(options.logRequests === true ? LogLevel.Debug : LogLevel.Info))
  )

/** Copies the store in a directory, which may be in use, to a new directory. Rejects with the reason. @internal */
export const backup = async (
  from: string,
  to: string
): Promise<{ readonly checkpoints: number; readonly bytes: number }> => {
  const exit = await Effect.runPromiseExit(Effect.provide(Embedded.backup(from, to), NodeContext.layer))
  if (Exit.isSuccess(exit)) return exit.value
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  throw new Error(error === undefined ? Cause.pretty(exit.cause) : error.message)
}

/** @internal */
export interface ExportOptions extends ModelExport.Options {
  /** the type of a GGUF file; a directory if absent */
  readonly gguf: "f16" | "q8_0" | undefined
}

/** Writes a base model with an adapter merged in. Rejects with the reason. @internal */
export const exportModel = async ({ gguf, ...options }: ExportOptions, signal: AbortSignal): Promise<void> => {
  const effect = gguf === undefined ? ModelExport.toDirectory(options) : ModelExport.toGguf({ ...options, type: gguf })
  const exit = await Effect.runPromiseExit(Effect.provide(effect, NodeContext.layer), { signal })
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
}

/** Which executor the engine takes here, and why. @internal */
export const chooseExecutor = (): Promise<JaxEngine.ExecutorChoice> => Effect.runPromise(JaxEngine.chooseExecutor())

type StartError = Layer.Layer.Error<ReturnType<typeof layerOf>>

const causeMessage = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const startFailure = (options: Options, cause: Cause.Cause<StartError>): Error => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (error === undefined) return new Error(`the embedded service cannot start: ${cause}`)
  if (error._tag === "SqlError") return new Error(`the database cannot be reached: ${causeMessage(error.cause)}`)
  if (error._tag !== "ServeError") return new Error(error.message)
  return new Error(`cannot listen on ${options.host}:${options.port}: ${causeMessage(error.cause)}`)
}

/** Starts the service. Rejects with the reason if it cannot start. @internal */
export const start = async (options: Options): Promise<Local> => {
  const scope = Effect.runSync(Scope.make())
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const exit = await Effect.runPromiseExit(
    Layer.build(layerOf(options)).pipe(
      Effect.flatMap((context) => Effect.provide(NodeServer.baseUrl, context)),
      Scope.extend(scope)
    )
  )
  if (Exit.isSuccess(exit)) {
    const all = [await shipped(), ...options.models]
    const tokenizers = Object.fromEntries(all.map(({ directory, name }) => [name, directory]))
    return { url: exit.value, tokenizers, localTokenizers: NodeServer.isLoopback(options.host), close }
  }
  await close()
  throw startFailure(options, exit.cause)
}
