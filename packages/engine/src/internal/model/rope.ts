/** Tables of cosines and sines for rotary position embeddings (RoPE). */
import type { ModelConfig, Rope, RopeScaling } from "../../ModelConfig.ts"

type Yarn = Extract<RopeScaling, { readonly type: "yarn" }>

/** The ramp of YaRN over the pairs of values: 0 where frequencies are kept, 1 where they are divided by the factor. */
const yarnRamp = (theta: number, half: number, scaling: Yarn): ((pair: number) => number) => {
  // the pair that turns so many times within the original context
  const pairOf = (turns: number) =>
    (half * Math.log(scaling.original_max_position_embeddings / (turns * 2 * Math.PI))) / Math.log(theta)
  const [first, last] = [pairOf(scaling.beta_fast), pairOf(scaling.beta_slow)]
  const low = Math.max(scaling.truncate ? Math.floor(first) : first, 0)
  const high = Math.min(scaling.truncate ? Math.ceil(last) : last, 2 * half - 1)
  return (pair) => Math.min(Math.max((pair - low) / (low === high ? 0.001 : high - low), 0), 1)
}

/** The frequencies of the `half` pairs of values of a head, in radians per position. */
const frequencies = ({ scaling, theta }: Rope, half: number): Float64Array => {
  const out = new Float64Array(half)
  const ramp = scaling.type === "yarn" ? yarnRamp(theta, half, scaling) : () => 0
  for (let i = 0; i < half; i++) {
    const base = theta ** (-i / half)
    switch (scaling.type) {
      case "default":
        out[i] = base
        break
      case "linear":
        out[i] = base / scaling.factor
        break
      case "factors":
        out[i] = base / scaling.factors[i]!
        break
      case "yarn":
        out[i] = base * (1 - ramp(i)) + (base / scaling.factor) * ramp(i)
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

/** By what the scaling divides the frequency of each pair of values of a head. @internal */
export const divisors = (rope: Rope, head_dim: number): Float64Array => {
  const half = head_dim / 2
  return frequencies(rope, half).map((frequency, i) => rope.theta ** (-i / half) / frequency)
}

/**
 * A table for `x * cos + swap(x) * sin`, where `swap` exchanges the halves of a head and `sin` includes the sign. Row
 * `p` belongs to position `p` and has `head_dim` values. It grows as positions are asked for, since contexts may be much
 * longer than any sequence.
 */
class Table {
  private readonly angles: Float64Array
  private readonly factor: number
  cos = new Float32Array(0)
  sin = new Float32Array(0)

  constructor(rope: Rope, head_dim: number) {
    this.angles = frequencies(rope, head_dim / 2)
    this.factor = "attention_factor" in rope.scaling ? rope.scaling.attention_factor : 1
  }

  /** Computes the rows of so many positions. */
  reserve(positions: number): void {
    const { angles, factor } = this
    const half = angles.length
    const known = this.cos.length / (2 * half)
    if (positions <= known) return
    const count = 2 ** Math.ceil(Math.log2(positions))
    const [cos, sin] = [new Float32Array(count * 2 * half), new Float32Array(count * 2 * half)]
    cos.set(this.cos)
    sin.set(this.sin)
    for (let position = known; position < count; position++) {
      for (let i = 0; i < half; i++) {
        const at = position * 2 * half + i
        const angle = position * angles[i]!
        cos[at] = cos[at + half] = factor * Math.cos(angle)
        sin[at + half] = factor * Math.sin(angle)
        sin[at] = -sin[at + half]!
      }
    }
    this.cos = cos
    this.sin = sin
  }
}

/** The tables of a model. @internal */
export interface RopeTables {
  readonly head_dim: number
  readonly global: Table
  /** of the layers with the rope `local` */
  readonly local: Table | undefined
}

/** @internal */
export const makeTables = ({ head_dim, local_rope, rope }: ModelConfig): RopeTables => ({
  head_dim,
  global: new Table(rope, head_dim),
  local: local_rope === undefined ? undefined : new Table(local_rope, head_dim)
})

const rowsOf = (table: Table, head_dim: number, positions: ArrayLike<number>) => {
  let last = 0
  for (let i = 0; i < positions.length; i++) last = Math.max(last, positions[i]!)
  table.reserve(last + 1)
  const cos = new Float32Array(positions.length * head_dim)
  const sin = new Float32Array(positions.length * head_dim)
  for (let i = 0; i < positions.length; i++) {
    const start = positions[i]! * head_dim
    cos.set(table.cos.subarray(start, start + head_dim), i * head_dim)
    sin.set(table.sin.subarray(start, start + head_dim), i * head_dim)
  }
  return { cos, sin }
}

/** Rows of the tables of a model, as inputs of a program; those of a local rope only where a layer has one. @internal */
export interface RopeRows {
  readonly [name: string]: Float32Array
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/** Applies a function to all rows. @internal */
export const mapRows = (rows: RopeRows, f: (values: Float32Array) => Float32Array): RopeRows => ({
  ...Object.fromEntries(Object.entries(rows).map(([name, values]) => [name, f(values)])),
  cos: f(rows.cos),
  sin: f(rows.sin)
})

/** The names of the inputs with the rows for a rope. @internal */
export const inputNames = (rope: "global" | "local"): { readonly cos: string; readonly sin: string } =>
  rope === "global" ? { cos: "cos", sin: "sin" } : { cos: "cos.local", sin: "sin.local" }

/** The rows of the tables for given positions. @internal */
export const rowsAt = ({ global, head_dim, local }: RopeTables, positions: ArrayLike<number>): RopeRows => {
  const rows = rowsOf(global, head_dim, positions)
  if (local === undefined) return rows
  const { cos, sin } = rowsOf(local, head_dim, positions)
  return { ...rows, "cos.local": cos, "sin.local": sin }
}
