/// <reference types="node" />
/**
 * Runs the embedded service behind plain promises. This module is not part of the bundle, so it may import another copy
 * of a library than its caller, and no Effect may cross the boundary.
 */
import * as Embedded from "@effect-tinker/embedded/Embedded"
import * as JaxEngine from "@effect-tinker/engine/JaxEngine"
import * as ModelDirectory from "@effect-tinker/engine/ModelDirectory"
import * as CheckpointStore from "@effect-tinker/server/CheckpointStore"
import * as NodeServer from "@effect-tinker/server/NodeServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { oneLine } from "../terminal/logger.ts"

/** @internal */
export interface Options {
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** Base models besides the one that ships with the engine. */
  readonly models: ReadonlyArray<{ readonly name: string; readonly directory: string }>
  /** The directory in which checkpoints are stored. */
  readonly checkpoints: string
  /** The API keys to accept; any key if empty. */
  readonly keys: ReadonlyArray<string>
  /** Origins whose web pages may call the service. */
  readonly allowOrigins?: ReadonlyArray<string> | undefined
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

const layerOf = (options: Options) =>
  NodeServer.layer({
    host: options.host,
    port: options.port,
    allowOrigins: options.allowOrigins,
    apiKeys: options.keys.map((key) => Redacted.make(key))
  }).pipe(
    Layer.provide([
      Embedded.layerEngine({ models: options.models, localTokenizers: NodeServer.isLoopback(options.host) }),
      CheckpointStore.layerFileSystem(options.checkpoints)
    ]),
    Layer.provide(NodeContext.layer),
    Layer.provide(
      Logger.replace(
        Logger.defaultLogger,
        Logger.make((entry) => options.log(oneLine(entry)))
      )
    )
  )

type StartError = Layer.Layer.Error<ReturnType<typeof layerOf>>

const startFailure = (options: Options, cause: Cause.Cause<StartError>): Error => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (error === undefined) return new Error(`the embedded service cannot start: ${cause}`)
  if (error._tag !== "ServeError") return new Error(error.message)
  const reason = error.cause instanceof Error ? error.cause.message : error.cause
  return new Error(`cannot listen on ${options.host}:${options.port}: ${reason}`)
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
