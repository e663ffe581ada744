import type { ModelConfig, Rope } from "../../ModelConfig.ts"

/** The angle per position of each pair of a head's values. */
const frequencies = (rope: Rope, half: number): Float64Array => {
  const { scaling, theta } = rope
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
        // long wavelengths are stretched by the factor, short ones kept, with a ramp between
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
 * Tables for `x * cos + swap(x) * sin`, where `swap` exchanges the halves of a head: `sin` carries the sign. Row `p` of
 * `head_dim` values belongs to position `p`.
 *
 * @internal
 */
export interface RopeTables {
  readonly width: number
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/** @internal */
export const tables = (config: ModelConfig): RopeTables => {
  const { head_dim: width, max_context_length: length } = config
  const half = width / 2
  const angles = frequencies(config.rope, half)
  const cos = new Float32Array(length * width)
  const sin = new Float32Array(length * width)
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < half; i++) {
      const at = position * width + i
      const angle = position * angles[i]!
      cos[at] = cos[at + half] = Math.cos(angle)
      sin[at + half] = Math.sin(angle)
      sin[at] = -sin[at + half]!
    }
  }
  return { width, cos, sin }
}
