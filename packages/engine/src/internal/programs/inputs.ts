/** Input specs and keys that the programs of a model share. */
import type { ModelConfig } from "../../ModelConfig.ts"
import type { TensorSpec } from "../executors/executor.ts"
import * as architecture from "../model/architecture.ts"
import { inputNames } from "../model/rope.ts"
import type { TracedInputs } from "../model/transformer.ts"

/** @internal */
export interface InputSpecs {
  readonly [name: string]: TensorSpec
}

/** @internal */
export const float32 = (...shape: ReadonlyArray<number>): TensorSpec => ({ shape, dtype: "float32" })

/** @internal */
export const int32 = (...shape: ReadonlyArray<number>): TensorSpec => ({ shape, dtype: "int32" })

/** The inputs of the adapter matrices of linear layers. @internal */
export const adapterSpecs = (linears: ReadonlyArray<architecture.Linear>, rank: number): InputSpecs => {
  const specs: Record<string, TensorSpec> = {}
  for (const linear of linears) {
    specs[`${linear.name}.A`] = float32(rank, linear.in)
    specs[`${linear.name}.B`] = float32(linear.out, rank)
  }
  return specs
}

/** Which linear layers have an adapter; a rank of 0 means none. @internal */
export interface AdapterShape {
  readonly rank: number
  readonly parts: ReadonlyArray<architecture.Linear["part"]>
}

/** @internal */
export const noAdapter: AdapterShape = { rank: 0, parts: [] }

/** The inputs of adapters side by side, whose ranks are `rank` in all, with the scaling of each row (rows, rank). @internal */
export const rowAdapterSpecs = (
  linears: ReadonlyArray<architecture.Linear>,
  { parts, rank }: AdapterShape,
  rows: number
): InputSpecs => {
  const adapted = rank === 0 ? [] : linears.filter(({ part }) => parts.includes(part))
  return adapted.length === 0 ? {} : { ...adapterSpecs(adapted, rank), scaling: float32(rows, rank) }
}

/** Separates the inputs by which a program is differentiated from the others. @internal */
export const splitInputs = (
  all: TracedInputs,
  names: ReadonlyArray<string>
): { readonly chosen: TracedInputs; readonly inputs: TracedInputs } => ({
  chosen: Object.fromEntries(names.map((name) => [name, all[name]!])),
  inputs: Object.fromEntries(Object.entries(all).filter(([name]) => !names.includes(name)))
})

/** The weights of the base model. Embeddings are looked up outside of programs. @internal */
export const baseWeightSpecs = (config: ModelConfig): InputSpecs => {
  const specs: Record<string, TensorSpec> = {}
  const vectors = [...architecture.norms(config), ...architecture.biases(config)]
  for (const [name, length] of vectors) specs[name] = float32(length)
  for (const linear of architecture.linears(config)) {
    specs[architecture.weightName(config, linear)] = float32(linear.out, linear.in)
  }
  return specs
}

/** What families compute in their own ways. */
const traits = (config: ModelConfig): string => {
  const { activation, fused_projections, layers, post_norms, qkv_bias, query_scale } = config
  const kinds = layers.map(({ isSliding, rope }) => `${isSliding ? "s" : "f"}${rope[0]}`).join("")
  return [
    qkv_bias ? "b" : "",
    fused_projections ? "f" : "",
    post_norms ? "p" : "",
    activation,
    query_scale,
    kinds
  ].join()
}

/** The cosines and sines of `n` positions. @internal */
export const ropeSpecs = ({ head_dim, local_rope }: ModelConfig, n: number): InputSpecs => {
  const ropes = local_rope === undefined ? (["global"] as const) : (["global", "local"] as const)
  const names = ropes.flatMap((rope) => Object.values(inputNames(rope)))
  return Object.fromEntries(names.map((name) => [name, float32(n, 1, head_dim)]))
}

/** The key of a program: equal keys must mean equal programs. @internal */
export const programKey = (kind: string, config: ModelConfig, ...rest: ReadonlyArray<string | number>): string => {
  const { head_dim, hidden_size, intermediate_size, num_heads, num_kv_heads, num_layers, vocab_size } = config
  const dimensions = [num_layers, hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim, vocab_size]
  const variant = `${config.qk_norm ? "n" : ""}${config.tie_word_embeddings ? "t" : ""}${config.rms_norm_eps}`
  return [kind, dimensions.join("x"), `${variant},${traits(config)}`, ...rest].join(" ")
}

/** Drops the references to inputs that a trace still holds. @internal */
export const disposeAll = (inputs: TracedInputs): void => {
  for (const input of Object.values(inputs)) input.dispose()
}
