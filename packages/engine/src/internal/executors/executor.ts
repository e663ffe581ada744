import type * as Engine from "@effect-tinker/server/Engine"
import type { numpy } from "@jax-js/jax"
import type * as Effect from "effect/Effect"

/** An array of jax-js: while a program is traced, a stand-in for one. Every use consumes it; `.ref` keeps it. @internal */
export type Traced = numpy.Array

/** @internal */
export interface Spec {
  readonly shape: ReadonlyArray<number>
  readonly dtype: "float32" | "int32"
}

/** @internal */
export type Data = Float32Array | Int32Array

/** A tensor that stays with the executor between runs, until it is released. @internal */
export interface Stored {
  readonly spec: Spec
  readonly release: () => void
}

/**
 * A pure function of named tensors, written with jax-js. `trace` must consume each of its inputs. Programs of equal keys
 * are the same program.
 *
 * @internal
 */
export interface Program {
  readonly key: string
  readonly inputs: { readonly [name: string]: Spec }
  readonly trace: (inputs: { readonly [name: string]: Traced }) => ReadonlyArray<Traced>
}

/** @internal */
export interface Executable {
  /**
   * The outputs in the program's order, each row-major: in new arrays, or in those given. Inputs are not kept. Timers and
   * I/O have their turn in every run, so that a caller need not yield between runs.
   */
  readonly run: (
    inputs: { readonly [name: string]: Data | Stored },
    into?: ReadonlyArray<Float32Array>
  ) => Effect.Effect<ReadonlyArray<Float32Array>, Engine.EngineError>
}

/**
 * What runs programs. The model is written once, against this: how a program is compiled, and on what it runs, is the
 * executor's own affair.
 *
 * @internal
 */
export interface Executor {
  readonly name: string
  readonly store: (data: Data, shape: ReadonlyArray<number>) => Effect.Effect<Stored, Engine.EngineError>
  /** Compiles a program, or finds it compiled. */
  readonly compile: (program: Program) => Effect.Effect<Executable, Engine.EngineError>
}

/** @internal */
export const isData = (u: Data | Stored): u is Data => ArrayBuffer.isView(u)

/** @internal */
export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((size, dimension) => size * dimension, 1)
