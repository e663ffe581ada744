/** Chooses the executor by the option `executor`. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as native from "#native-executor"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Executor } from "./executor.ts"
import * as wasm from "./wasm.ts"

/** @internal */
export type Choice = "auto" | "native" | "wasm"

/** `auto` is `native` where it can be loaded, and `wasm` elsewhere. @internal */
export const make = (choice: Choice, threads: number): Effect.Effect<Executor, Engine.EngineError, Scope.Scope> => {
  switch (choice) {
    case "native":
      return native.make(threads)
    case "wasm":
      return wasm.make
    case "auto":
      return Effect.catchAll(native.make(threads), ({ reason }) =>
        Effect.flatMap(Effect.logDebug(`using WebAssembly: ${reason}`), () => wasm.make)
      )
  }
}
