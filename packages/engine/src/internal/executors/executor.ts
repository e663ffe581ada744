/** The interface between the model and its executors: programs written with jax-js, and executors that run them. */
import type * as Engine from "@effect-tinker/server/Engine"
import type { numpy } from "@jax-js/jax"
import type * as Effect from "effect/Effect"
import type { PackedValues } from "./packed.ts"
import { quantizedBlock, type QuantizedMatrix } from "../onnx/quantized.ts"

/**
 * An array of jax-js, or a tracer in place of one while a program is traced. Every use consumes a reference; `.ref`
 * adds one.
 *
 * @internal
 */
export type Traced = numpy.Array

/** @internal */
export interface TensorSpec {
  readonly shape: ReadonlyArray<number>
  readonly dtype: "float32" | "int32"
}

/** The values of a tensor, row-major. @internal */
export type TensorValues = Float32Array | Int32Array

/** A tensor that the executor keeps between runs, until it is released. @internal */
export interface StoredTensor {
  readonly spec: TensorSpec
  readonly release: () => void
}

export { quantizedBlock }

/** Quantized matrices by the names of the inputs that they replace. The key tells them from all others. @internal */
export interface QuantizedWeights {
  readonly key: string
  readonly matrices: { readonly [name: string]: QuantizedMatrix }
}

/** Inputs of a run by name. @internal */
export interface Inputs {
  readonly [name: string]: TensorValues | StoredTensor
}

/**
 * A pure function of named tensors, written with jax-js. Programs with equal keys are equal.
 *
 * @internal
 */
export interface Program {
  readonly key: string
  readonly inputs: { readonly [name: string]: TensorSpec }
  /** must consume each of its inputs */
  readonly trace: (inputs: { readonly [name: string]: Traced }) => ReadonlyArray<Traced>
  /**
   * Matrices that an executor may hold in place of inputs, where products of few rows are then faster and less exact. The
   * key of the program has theirs.
   */
  readonly quantized?: QuantizedWeights | undefined
  /** the programs from which it differs in some sizes alone: an executor may compile one for all of them */
  readonly family?: Family | undefined
}

/** @internal */
export interface Family {
  /** the program with a marker in the place of each size; its key is that of the family */
  readonly generic: Program
  readonly sizes: ReadonlyArray<Marker>
}

/** A size that stands for others: a prime that divides no fixed size of the program. @internal */
export interface Marker {
  readonly marker: number
  readonly size: number
  /** for what size the program is lowered; for `size`, if absent */
  readonly typical?: number | undefined
}

/** @internal */
export interface Executable {
  /**
   * Runs the program and returns its outputs: in new arrays, or in `outputs` where these are given. Inputs are not
   * retained. Every run yields to timers and I/O, so callers need not yield between runs.
   */
  readonly run: (
    inputs: Inputs,
    outputs?: ReadonlyArray<Float32Array>
  ) => Effect.Effect<ReadonlyArray<Float32Array>, Engine.EngineError>
}

/** Compiles and runs programs. The model is written once, against this interface. @internal */
export interface Executor {
  readonly name: "native" | "wasm"
  /** whether it holds packed values as they are */
  readonly widensInRuns: boolean
  /** whether it holds the quantized matrices of programs; otherwise it takes their inputs */
  readonly takesQuantized: boolean
  /** whether the programs of a family are compiled once; otherwise each new size takes time */
  readonly compilesFamilies: boolean
  /**
   * Stores a tensor. Packed values are float32 to programs; an executor that `widensInRuns` holds them as they are,
   * and widens those of the inputs of a run. The executor may keep `values` themselves, so the caller must not write to them.
   */
  readonly store: (
    values: TensorValues | PackedValues,
    shape: ReadonlyArray<number>
  ) => Effect.Effect<StoredTensor, Engine.EngineError>
  /** Compiles a program, or finds it in the cache. */
  readonly compile: (program: Program) => Effect.Effect<Executable, Engine.EngineError>
}
