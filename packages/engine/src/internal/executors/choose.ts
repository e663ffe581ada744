/** Chooses the executor by the option `executor`. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as native from "#native-executor"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import type { Executor } from "./executor.ts"
import type { ProgramCache } from "./programCache.ts"
import * as wasm from "./wasm.ts"

/** @internal */
export type Choice = "auto" | "native" | "wasm"

/** An executor, and why it is this one, as the end of a sentence. @internal */
export interface Chosen {
  readonly executor: Executor
  readonly reason: string
  /** whether another was expected: a package is missing that makes training several times faster */
  readonly isFallback: boolean
}

/** The first line of what the runtime says, which names the module or the library that it misses. */
const firstLine = (cause: unknown): string =>
  cause instanceof Error ? ` (${cause.message.split("\n")[0]!.split(" imported from ")[0]!.slice(0, 300)})` : ""

const asAsked = (executor: Effect.Effect<Executor, Engine.EngineError, Scope.Scope>) =>
  Effect.map(executor, (executor): Chosen => ({ executor, reason: "as the option executor asks", isFallback: false }))

/** `auto` is `native` where it can be loaded, and `wasm` elsewhere. @internal */
export const make = (
  choice: Choice,
  threads: number,
  cache?: ProgramCache
): Effect.Effect<Chosen, Engine.EngineError, Scope.Scope> => {
  switch (choice) {
    case "native":
      return asAsked(native.make(threads, cache))
    case "wasm":
      return asAsked(wasm.make)
    case "auto":
      return Effect.matchEffect(native.make(threads, cache), {
        onFailure: ({ cause, reason }) =>
          Effect.map(wasm.make, (executor) => ({
            executor,
            reason: `${reason}${firstLine(cause)}`,
            // in browsers, where nothing else is expected, there is no cause
            isFallback: cause !== undefined
          })),
        onSuccess: (executor) => Effect.succeed({ executor, reason: "the fastest here", isFallback: false })
      })
  }
}

const titles = { native: "on ONNX Runtime", wasm: "in WebAssembly, several times slower than on ONNX Runtime" } as const

/** Says where the engine computes, and why there: at info level, or as a warning if it is slow for want of a package. @internal */
export const tell = ({ executor, isFallback, reason }: Chosen): Effect.Effect<void> =>
  Effect.logWithLevel(
    isFallback ? LogLevel.Warning : LogLevel.Info,
    `the engine computes ${titles[executor.name]}: ${reason}`
  )
