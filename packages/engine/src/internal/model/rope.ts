/** Tables of cosines and sines for rotary position embeddings (RoPE). */
import type { ModelConfig, Rope } from "../../ModelConfig.ts"

/** The frequencies of the `half` pairs of values of a head, in radians per position. */
const frequencies = ({ scaling, theta }: Rope, half: number): Float64Array => {
  const out = new Float64Array(half)
  for (let i = 0; i < half; i++) {
    const base = theta ** (-i / half)
    switch (scaling.type) {
      case "default":
        out[i] = base
        break
      case "linear":
        out[i] = base / scaling.factor
        break
      case "llama3": {
        // divides low frequencies by the factor and keeps high ones, with a linear ramp between them
        const turns = (scaling.original_max_position_embeddings * base) / (2 * Math.PI)
        const ramp = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
        const kept = Math.min(Math.max(ramp, 0), 1)
        out[i] = base * kept + (base / scaling.factor) * (1 - kept)
      }
    }
  }
  return out
}

/**
 * Tables for `x * cos + swap(x) * sin`, where `swap` exchanges the halves of a head and `sin` includes the sign. Row
 * `p` belongs to position `p` and has `head_dim` values.
 *
 * @internal
 */
export interface RopeTables {
  readonly head_dim: number
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/** The tables for all positions of the context. @internal */
export const makeTables = (config: ModelConfig): RopeTables => {
  const { head_dim, max_context_length } = config
  const half = head_dim / 2
  const angles = frequencies(config.rope, half)
  const cos = new Float32Array(max_context_length * head_dim)
  const sin = new Float32Array(max_context_length * head_dim)
  for (let position = 0; position < max_context_length; position++) {
    for (let i = 0; i < half; i++) {
      const at = position * head_dim + i
      const angle = position * angles[i]!
      cos[at] = cos[at + half] = Math.cos(angle)
      sin[at + half] = Math.sin(angle)
      sin[at] = -sin[at + half]!
    }
  }
  return { head_dim, cos, sin }
}

/** The rows of the tables for given positions, as inputs of a program. @internal */
export const rowsAt = (tables: RopeTables, positions: ArrayLike<number>): Record<"cos" | "sin", Float32Array> => {
  const { head_dim } = tables
  const cos = new Float32Array(positions.length * head_dim)
  const sin = new Float32Array(positions.length * head_dim)
  for (let i = 0; i < positions.length; i++) {
    const start = positions[i]! * head_dim
    cos.set(tables.cos.subarray(start, start + head_dim), i * head_dim)
    sin.set(tables.sin.subarray(start, start + head_dim), i * head_dim)
  }
  return { cos, sin }
}
