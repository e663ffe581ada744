/** Traces programs and checks the inputs of a run, for all executors. */
import type { numpy } from "@jax-js/jax"
import { sizeOf } from "../util/shape.ts"
import type { Inputs, Program, StoredTensor, TensorSpec, TensorValues, Traced } from "./executor.ts"

/** The program as a function of its inputs in order, the form that jax-js traces. @internal */
export const positionalTrace = (program: Program): ((...arrays: Array<numpy.Array>) => Array<Traced>) => {
  const names = Object.keys(program.inputs)
  return (...arrays) => [...program.trace(Object.fromEntries(names.map((name, i) => [name, arrays[i]!])))]
}

/** @internal */
export const specOf = (values: TensorValues, shape: ReadonlyArray<number>): TensorSpec => ({
  shape,
  dtype: values instanceof Float32Array ? "float32" : "int32"
})

const isValues = (input: TensorValues | StoredTensor): input is TensorValues => ArrayBuffer.isView(input)

/**
 * Converts one input of a run to the executor's own kind of tensor. `fromValues` gets values of the right length;
 * `fromStored` returns `undefined` for a tensor that another executor stored, or that was released.
 *
 * @throws TypeError if the input is missing or does not fit
 * @internal
 */
export const bindInput = <A>(
  program: Program,
  name: string,
  inputs: Inputs,
  fromValues: (values: TensorValues, spec: TensorSpec) => A,
  fromStored: (stored: StoredTensor) => A | undefined
): A => {
  const input = inputs[name]
  const spec = program.inputs[name]!
  if (input === undefined) throw new TypeError(`${program.key}: the input ${name} is missing`)
  if (isValues(input)) {
    if (input.length === sizeOf(spec.shape)) return fromValues(input, spec)
    throw new TypeError(
      `${program.key}: the input ${name} has ${input.length} values for the shape [${spec.shape.join(", ")}]`
    )
  }
  const bound = fromStored(input)
  if (bound === undefined) throw new TypeError(`${program.key}: the input ${name} is not stored with this executor`)
  return bound
}
