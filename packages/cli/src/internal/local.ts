/// <reference types="node" />
/**
 * The embedded service, as plain values: this module is not part of the bundle, and what it imports may be another copy
 * of the same library than the caller's.
 */
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as NodeWorkerEngine from "@effect-tinker/engine/NodeWorkerEngine"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"

/** @internal */
export interface Options {
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** base models besides the one that ships */
  readonly models: ReadonlyArray<{ readonly name: string; readonly directory: string }>
  /** where checkpoints are kept */
  readonly checkpoints: string
  /** every key is taken where none is given */
  readonly keys: ReadonlyArray<string>
  readonly log: (line: string) => void
}

/** @internal */
export interface Local {
  readonly url: string
  readonly close: () => Promise<void>
}

/** The model that ships: its name, and the directory with its tokenizer. @internal */
export const shipped = async (): Promise<{ readonly name: string; readonly directory: string }> => ({
  name: JaxEngine.nano,
  directory: await Effect.runPromise(Effect.provide(ModelDirectory.nano, NodeContext.layer))
})

/** Rejects with the reason why there is no service. @internal */
export const start = async (options: Options): Promise<Local> => {
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ logLevel, message }) =>
      options.log(
        `${logLevel.label.toLowerCase()}: ${(Array.isArray(message) ? message : [message]).map(String).join(" ")}`
      )
    )
  )
  const service = NodeServer.layer({
    host: options.host,
    port: options.port,
    apiKeys: options.keys.map((key) => Redacted.make(key))
  }).pipe(
    Layer.provide([
      NodeWorkerEngine.layer({ models: options.models }),
      CheckpointStore.layerFileSystem(options.checkpoints)
    ]),
    Layer.provide(NodeContext.layer),
    Layer.provide(logger)
  )
  const scope = Effect.runSync(Scope.make())
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const exit = await Effect.runPromiseExit(
    Layer.build(service).pipe(
      Effect.flatMap((context) => Effect.provide(NodeServer.baseUrl, context)),
      Scope.extend(scope)
    )
  )
  if (Exit.isSuccess(exit)) return { url: exit.value, close }
  await close()
  const error = exit.cause._tag === "Fail" ? exit.cause.error : undefined
  throw new Error(
    error === undefined
      ? `the embedded service does not start: ${exit.cause}`
      : error._tag === "ServeError"
        ? `will not listen on ${options.host}:${options.port}: ${error.cause instanceof Error ? error.cause.message : error.cause}`
        : error.message
  )
}
