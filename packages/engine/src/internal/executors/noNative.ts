/** Replaces the native executor in browsers, where there is no ONNX Runtime for Node. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { serverError } from "../util/errors.ts"
import type { Executor } from "./executor.ts"
import type { ProgramCache } from "./programCache.ts"

/** Fails: `auto` then chooses WebAssembly. @internal */
export const make = (
  _threads: number,
  _cache?: ProgramCache
): Effect.Effect<Executor, Engine.EngineError, Scope.Scope> =>
  Effect.fail(serverError("there is no native executor in browsers: use wasm", undefined))
