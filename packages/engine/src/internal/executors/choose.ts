import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Executor } from "./executor.ts"
import * as nativeExecutor from "./native.ts"
import * as wasmExecutor from "./wasm.ts"

/** @internal */
export type Choice = "auto" | "native" | "wasm"

/** @internal */
export const make = (choice: Choice, threads: number): Effect.Effect<Executor, Engine.EngineError, Scope.Scope> => {
  switch (choice) {
    case "native":
      return nativeExecutor.make(threads)
    case "wasm":
      return wasmExecutor.make
    case "auto":
      return Effect.catchAll(nativeExecutor.make(threads), (error) =>
        Effect.zipRight(Effect.logDebug(`programs run in WebAssembly: ${error.reason}`), wasmExecutor.make)
      )
  }
}
