/**
 * LoRA adapters as in PEFT: `y = x W^T + (alpha / rank) (x A^T) B^T`, with A (rank, in) and B (out, rank). All values
 * of an adapter lie in one flat vector; each linear layer has its A before its B.
 */
import type * as Model from "@effect-tinker/api/Model"
import * as Either from "effect/Either"
import type { ModelConfig } from "../../ModelConfig.ts"
import * as architecture from "../model/architecture.ts"
import * as random from "../util/random.ts"

/** The alpha of new adapters. @internal */
export const alpha = 32

/** A matrix of the adapter, and its place in the vector. */
interface Matrix {
  /** the name of the program input, such as `lm_head.A` */
  readonly input: string
  /** the name in PEFT */
  readonly name: string
  readonly matrix: "A" | "B"
  readonly linear: architecture.Linear
  readonly shape: readonly [rows: number, columns: number]
  readonly offset: number
  readonly size: number
}

/** @internal */
export interface Layout {
  readonly rank: number
  readonly linears: ReadonlyArray<architecture.Linear>
  /** for each linear layer A, then B */
  readonly matrices: ReadonlyArray<Matrix>
  /** of the vector */
  readonly size: number
}

const largestRank = 1024

/** The layout of an adapter. On the left is the reason why the LoRA configuration is rejected. @internal */
export const make = (config: ModelConfig, lora: Model.LoraConfig): Either.Either<Layout, string> => {
  const { rank } = lora
  if (rank > largestRank) return Either.left(`the rank is ${rank}, but the largest is ${largestRank}`)
  const isTrained = { attn: lora.train_attn, mlp: lora.train_mlp, unembed: lora.train_unembed }
  const linears = architecture.linears(config).filter(({ part }) => isTrained[part])
  if (linears.length === 0) {
    return Either.left("train_attn, train_mlp and train_unembed are all false: there is nothing to train")
  }
  const matrices: Array<Matrix> = []
  let offset = 0
  for (const linear of linears) {
    for (const matrix of ["A", "B"] as const) {
      const shape = matrix === "A" ? ([rank, linear.in] as const) : ([linear.out, rank] as const)
      const size = shape[0] * shape[1]
      const name = `base_model.model.${linear.name}.lora_${matrix}.weight`
      matrices.push({ input: `${linear.name}.${matrix}`, name, matrix, linear, shape, offset, size })
      offset += size
    }
  }
  return Either.right({ rank, linears, matrices, size: offset })
}

/** The values of a matrix, which share memory with the vector. @internal */
export const view = (vector: Float32Array, { offset, size }: Matrix): Float32Array =>
  vector.subarray(offset, offset + size)

/**
 * Initial values: A is uniform in ±1/sqrt(in), which is PEFT's Kaiming initialization with a = sqrt(5), and B is zero.
 * A value depends only on the seed, its layer and its index, so the A of a small rank is a prefix of the A of a larger
 * one.
 *
 * @internal
 */
export const initialize = (layout: Layout, seed: number): Float32Array => {
  const vector = new Float32Array(layout.size)
  for (const matrix of layout.matrices) {
    if (matrix.matrix === "B") continue
    const key = random.streamKey(seed, matrix.name)
    const bound = 1 / Math.sqrt(matrix.linear.in)
    const values = view(vector, matrix)
    for (let i = 0; i < values.length; i++) values[i] = (2 * random.uniform(key, i) - 1) * bound
  }
  return vector
}
