/** Converts the vector of an adapter to weights named as in PEFT, and back. */
import type * as Engine from "@effect-tinker/server/Engine"
import * as Either from "effect/Either"
import { type Layout, view } from "./layout.ts"

/** The vector as named matrices, copied. @internal */
export const toWeights = (layout: Layout, vector: Float32Array): Record<string, Engine.Weight> =>
  Object.fromEntries(
    layout.matrices.map((matrix) => [matrix.name, { shape: matrix.shape, data: view(vector, matrix).slice() }])
  )

/** The vector as named flat arrays, copied. @internal */
export const toArrays = (layout: Layout, vector: Float32Array): Record<string, Float32Array> =>
  Object.fromEntries(layout.matrices.map((matrix) => [matrix.name, view(vector, matrix).slice()]))

/** The vector from named arrays. On the left is what does not fit; `what` names the source. @internal */
export const fromArrays = (
  layout: Layout,
  arrays: { readonly [name: string]: Float32Array },
  what: string
): Either.Either<Float32Array, string> => {
  const sameTargets = "train_attn, train_mlp and train_unembed must be the same"
  const unknown = Object.keys(arrays).find((name) => !layout.matrices.some((matrix) => matrix.name === name))
  if (unknown !== undefined) {
    return Either.left(`the ${what} has ${unknown}, but the model does not train this weight: ${sameTargets}`)
  }
  const vector = new Float32Array(layout.size)
  for (const { name, offset, shape, size } of layout.matrices) {
    const data = Object.hasOwn(arrays, name) ? arrays[name] : undefined
    if (data === undefined) return Either.left(`the ${what} has no ${name}: ${sameTargets}`)
    if (data.length !== size) {
      return Either.left(
        `the ${what} has ${data.length} values in ${name}, but the model needs the shape [${shape.join(", ")}]: ` +
          "the rank must be the same"
      )
    }
    vector.set(data, offset)
  }
  return Either.right(vector)
}

/** The vector of an adapter. On the left is what does not fit. @internal */
export const fromAdapter = (
  layout: Layout,
  adapter: Engine.Adapter,
  baseModel: string
): Either.Either<Float32Array, string> =>
  adapter.base_model === baseModel
    ? fromArrays(
        layout,
        Object.fromEntries(Object.entries(adapter.weights).map(([name, { data }]) => [name, data])),
        "adapter"
      )
    : Either.left(`the adapter was trained on ${adapter.base_model}, not on ${baseModel}`)
