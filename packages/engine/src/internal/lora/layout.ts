import type * as Model from "@effect-tinker/api/Model"
import type * as Engine from "@effect-tinker/server/Engine"
import * as Either from "effect/Either"
import type { ModelConfig } from "../../ModelConfig.ts"
import * as config from "../model/architecture.ts"
import * as random from "../util/random.ts"

/**
 * Adapters as PEFT has them: `y = x W^T + (alpha / rank) (x A^T) B^T` with A (rank, in) and B (out, rank). All values
 * lie in one flat vector, for each layer A before B.
 */

/** The alpha of adapters made here. @internal */
export const alpha = 32

/** A matrix of the adapter, and where its values are. @internal */
export interface Part {
  /** of the program's input, such as `lm_head.A` */
  readonly input: string
  /** of PEFT */
  readonly name: string
  readonly matrix: "A" | "B"
  readonly layer: config.Linear
  readonly shape: readonly [rows: number, columns: number]
  readonly offset: number
  readonly size: number
}

/** @internal */
export interface Layout {
  readonly rank: number
  readonly linears: ReadonlyArray<config.Linear>
  readonly parts: ReadonlyArray<Part>
  readonly size: number
}

const largestRank = 1024

/** Where the values of an adapter lie; on the left, why there can be no such adapter. @internal */
export const layout = (model: ModelConfig, lora: Model.LoraConfig): Either.Either<Layout, string> => {
  const { rank } = lora
  if (rank > largestRank) return Either.left(`the rank is ${rank}, but the largest is ${largestRank}`)
  const wanted = { attn: lora.train_attn, mlp: lora.train_mlp, unembed: lora.train_unembed }
  const linears = config.linears(model).filter(({ part }) => wanted[part])
  if (linears.length === 0) {
    return Either.left("train_attn, train_mlp and train_unembed are all false: there is nothing to train")
  }
  const parts: Array<Part> = []
  let offset = 0
  for (const layer of linears) {
    for (const matrix of ["A", "B"] as const) {
      const shape = matrix === "A" ? ([rank, layer.in] as const) : ([layer.out, rank] as const)
      const size = shape[0] * shape[1]
      const name = `base_model.model.${layer.name}.lora_${matrix}.weight`
      parts.push({ input: `${layer.name}.${matrix}`, name, matrix, layer, shape, offset, size })
      offset += size
    }
  }
  return Either.right({ rank, linears, parts, size: offset })
}

/** The values of a part, in the memory of the vector. @internal */
export const view = (vector: Float32Array, part: Part): Float32Array =>
  vector.subarray(part.offset, part.offset + part.size)

/**
 * The values at the start: A uniform in ±1/sqrt(in), which is PEFT's Kaiming initialisation with a = sqrt(5), and B zero.
 * A value depends on the seed, its layer and its place alone, so the A of a small rank is the beginning of that of a
 * larger one.
 *
 * @internal
 */
export const init = (layout: Layout, seed: number): Float32Array => {
  const values = new Float32Array(layout.size)
  for (const part of layout.parts) {
    if (part.matrix === "B") continue
    const key = random.key(seed, part.name)
    const bound = 1 / Math.sqrt(part.layer.in)
    const target = view(values, part)
    for (let i = 0; i < target.length; i++) target[i] = (2 * random.uniform(key, i) - 1) * bound
  }
  return values
}

/** A vector as named matrices, copied. @internal */
export const toWeights = (layout: Layout, vector: Float32Array): Record<string, Engine.Weight> =>
  Object.fromEntries(layout.parts.map((part) => [part.name, { shape: part.shape, data: view(vector, part).slice() }]))

/** A vector as named flat arrays, copied. @internal */
export const toArrays = (layout: Layout, vector: Float32Array): Record<string, Float32Array> =>
  Object.fromEntries(layout.parts.map((part) => [part.name, view(vector, part).slice()]))

/** The vector of named arrays; on the left, what does not fit. @internal */
export const fromArrays = (
  layout: Layout,
  arrays: { readonly [name: string]: Float32Array },
  what: string
): Either.Either<Float32Array, string> => {
  const vector = new Float32Array(layout.size)
  const unknown = Object.keys(arrays).find((name) => !layout.parts.some((part) => part.name === name))
  if (unknown !== undefined) {
    return Either.left(`the ${what} has ${unknown}, but the model trains no such weight: the switches must be the same`)
  }
  for (const part of layout.parts) {
    const data = Object.hasOwn(arrays, part.name) ? arrays[part.name] : undefined
    if (data === undefined) return Either.left(`the ${what} has no ${part.name}: the switches must be the same`)
    if (data.length !== part.size) {
      return Either.left(
        `the ${what} has ${data.length} values in ${part.name}, but the model needs [${part.shape.join(", ")}]: ` +
          "the rank must be the same"
      )
    }
    vector.set(data, part.offset)
  }
  return Either.right(vector)
}

/** The vector of an adapter's weights; on the left, what does not fit. @internal */
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

/** `weight + scaling B A`, all row-major. @internal */
export const merge = (
  weight: Float32Array,
  a: Float32Array,
  b: Float32Array,
  rank: number,
  scaling: number
): Float32Array => {
  const out = weight.slice()
  const columns = a.length / rank
  const rows = b.length / rank
  for (let row = 0; row < rows; row++) {
    const target = out.subarray(row * columns, (row + 1) * columns)
    for (let r = 0; r < rank; r++) {
      const factor = scaling * b[row * rank + r]!
      if (factor === 0) continue
      const from = r * columns
      for (let i = 0; i < columns; i++) target[i] = target[i]! + factor * a[from + i]!
    }
  }
  return out
}
