/**
 * The decoder that all families share, traced with jax-js. The configuration says in what they differ.
 *
 * It uses few primitives, so that they can be lowered to ONNX: add, mul, neg, exp, log, sqrt, reciprocal, min, max,
 * compare, where, reduce, dot, transpose, reshape, broadcast, flip, shrink, pad, stop_gradient. N counts the positions of all rows.
 */
import { numpy as np } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Traced } from "../executors/executor.ts"
import * as architecture from "./architecture.ts"
import type { Attend } from "./attention.ts"
import { inputNames } from "./rope.ts"

/** Traced inputs of a program by name. @internal */
export interface TracedInputs {
  readonly [name: string]: Traced
}

/** `x @ weight.T`, for a weight (out, in). */
const linear = (x: Traced, weight: Traced): Traced => np.matmul(x, weight.transpose())

const rmsNorm = (x: Traced, weight: Traced, eps: number): Traced => {
  const meanSquare = x.ref.mul(x.ref).mean(-1, { keepdims: true })
  return x.mul(np.reciprocal(np.sqrt(meanSquare.add(eps)))).mul(weight)
}

/** Bounds the exponent of the sigmoid, since an infinite exponential would make the gradient NaN. */
const largestExponent = 80

const silu = (x: Traced): Traced => x.ref.mul(np.reciprocal(np.exp(np.minimum(x.neg(), largestExponent)).add(1)))

/** GELU in its form with tanh: `x * (1 + tanh(z)) / 2`, where the latter is the sigmoid of 2 z. */
const geluTanh = (x: Traced): Traced => {
  const cubic = x.ref.mul(x.ref).mul(0.044715).add(1)
  const exponent = x.ref.mul(cubic).mul(-2 * Math.sqrt(2 / Math.PI))
  return x.mul(np.reciprocal(np.exp(np.minimum(exponent, largestExponent)).add(1)))
}

/** Applies the linear layer of a name. @internal */
export type Project = (x: Traced, name: string) => Traced

/** The linear layers of the base model. */
const baseProjection =
  (config: ModelConfig, inputs: TracedInputs): Project =>
  (x, name) => {
    const projected = linear(x, inputs[name === "lm_head" ? architecture.unembedding(config) : `${name}.weight`]!.ref)
    const bias = inputs[`${name}.bias`]
    return bias === undefined ? projected : projected.add(bias.ref)
  }

/**
 * The linear layers with LoRA: `x W^T + (scaling x A^T) B^T`, where the adapter has A and B. The input `scaling` is one
 * number, or one for each row and each column of `x A^T`, which chooses the adapter of the row.
 *
 * @internal
 */
export const loraProjection = (config: ModelConfig, inputs: TracedInputs, adapter: TracedInputs): Project => {
  const base = baseProjection(config, inputs)
  return (x, name) => {
    const a = adapter[`${name}.A`]
    if (a === undefined) return base(x, name)
    // scaling the product of rank columns takes the fewest multiplications
    const low = linear(x.ref, a.ref).mul(inputs["scaling"]!.ref)
    return base(x, name).add(linear(low, adapter[`${name}.B`]!.ref))
  }
}

/** The names of the inputs with cosines and sines. */
type RopeNames = ReturnType<typeof inputNames>

/** Applies rotary position embeddings to heads (N, heads, head_dim). */
const rotate = (x: Traced, inputs: TracedInputs, names: RopeNames | undefined): Traced => {
  if (names === undefined) return x
  const [n, heads, headDim] = x.shape as [number, number, number]
  const swapped = np.flip(x.ref.reshape([n, heads, 2, headDim / 2]), 2).reshape([n, heads, headDim])
  return x.mul(inputs[names.cos]!.ref).add(swapped.mul(inputs[names.sin]!.ref))
}

/** @internal */
export interface AttentionInputs {
  /** (N, num_heads, head_dim) */
  readonly queries: Traced
  /** (N, num_kv_heads, head_dim) */
  readonly keys: Traced
  /** (N, num_kv_heads, head_dim) */
  readonly values: Traced
}

/** Queries, keys and values as one projection makes them, (N, heads, head_dim). */
const splitFused = ({ head_dim, num_heads, num_kv_heads }: ModelConfig, fused: Traced): AttentionInputs => {
  const n = fused.shape[0]!
  const all = fused.reshape([n, num_heads + 2 * num_kv_heads, head_dim])
  const part = (from: number, count: number) => all.ref.slice([], [from, from + count], [])
  const parts = {
    queries: part(0, num_heads),
    keys: part(num_heads, num_kv_heads),
    values: part(num_heads + num_kv_heads, num_kv_heads)
  }
  all.dispose()
  return parts
}

/** Queries, keys and values (N, heads, head_dim) of normed inputs. */
const projectHeads = (config: ModelConfig, prefix: string, normed: Traced, project: Project): AttentionInputs => {
  if (config.fused_projections) return splitFused(config, project(normed, `${prefix}.qkv_proj`))
  const { head_dim, num_heads, num_kv_heads } = config
  const n = normed.shape[0]!
  const heads = (x: Traced, name: "q" | "k" | "v", count: number) =>
    project(x, `${prefix}.${name}_proj`).reshape([n, count, head_dim])
  const queries = heads(normed.ref, "q", num_heads)
  const keys = heads(normed.ref, "k", num_kv_heads)
  return { queries, keys, values: heads(normed, "v", num_kv_heads) }
}

/**
 * The part of a layer before attention: from the input of the layer (N, hidden_size). `ropes` names the inputs with its
 * cosines and sines, if it has a rotary embedding.
 *
 * @internal
 */
export const attentionInputs = (
  config: ModelConfig,
  inputs: TracedInputs,
  layer: number,
  x: Traced,
  project: Project,
  ropes: RopeNames | undefined
): AttentionInputs => {
  const prefix = `model.layers.${layer}`
  const attention = `${prefix}.self_attn`
  const normed = rmsNorm(x, inputs[`${prefix}.input_layernorm.weight`]!.ref, config.rms_norm_eps)
  const { keys, queries, values } = projectHeads(config, attention, normed, project)
  const norm = (x: Traced, name: "q" | "k") =>
    config.qk_norm ? rmsNorm(x, inputs[`${attention}.${name}_norm.weight`]!.ref, config.rms_norm_eps) : x
  return {
    queries: rotate(norm(queries, "q"), inputs, ropes),
    keys: rotate(norm(keys, "k"), inputs, ropes),
    values
  }
}

/** `activation(gate) * up`, (N, intermediate_size). */
const gated = (config: ModelConfig, prefix: string, x: Traced, project: Project): Traced => {
  const activate = config.activation === "silu" ? silu : geluTanh
  if (!config.fused_projections) {
    const gate = activate(project(x.ref, `${prefix}.gate_proj`))
    return gate.mul(project(x, `${prefix}.up_proj`))
  }
  const both = project(x, `${prefix}.gate_up_proj`)
  const gate = activate(both.ref.slice([], [0, config.intermediate_size]))
  return gate.mul(both.slice([], [config.intermediate_size, 2 * config.intermediate_size]))
}

/**
 * The part of a layer after attention: from the input of the layer and the attention output (N, num_heads, head_dim) to
 * the output of the layer.
 *
 * @internal
 */
export const afterAttention = (
  config: ModelConfig,
  inputs: TracedInputs,
  layer: number,
  x: Traced,
  attended: Traced,
  project: Project
): Traced => {
  const { head_dim, num_heads, rms_norm_eps } = config
  const prefix = `model.layers.${layer}`
  const norm = (x: Traced, name: string) => rmsNorm(x, inputs[`${prefix}.${name}_layernorm.weight`]!.ref, rms_norm_eps)
  const joined = attended.reshape([x.shape[0]!, num_heads * head_dim])
  const projected = project(joined, `${prefix}.self_attn.o_proj`)
  const middle = x.add(config.post_norms ? norm(projected, "post_attention") : projected)
  const normed = norm(middle.ref, config.post_norms ? "pre_feedforward" : "post_attention")
  const output = project(gated(config, `${prefix}.mlp`, normed, project), `${prefix}.mlp.down_proj`)
  return middle.add(config.post_norms ? norm(output, "post_feedforward") : output)
}

/** The norm after the last layer. @internal */
export const finalNorm = (config: ModelConfig, inputs: TracedInputs, x: Traced): Traced =>
  rmsNorm(x, inputs["model.norm.weight"]!.ref, config.rms_norm_eps)

/** All layers: from embedded tokens (N, hidden_size) to the output of the last layer (N, hidden_size). @internal */
export const afterLayers = (
  config: ModelConfig,
  inputs: TracedInputs,
  embedded: Traced,
  project: Project,
  attend: Attend
): Traced => {
  let x = embedded
  for (let layer = 0; layer < config.num_layers; layer++) {
    const { rope } = config.layers[layer]!
    const ropes = rope === "none" ? undefined : inputNames(rope)
    const { keys, queries, values } = attentionInputs(config, inputs, layer, x.ref, project, ropes)
    x = afterAttention(config, inputs, layer, x, attend(layer, queries, keys, values), project)
  }
  return x
}

/** All layers and the norm after them: from embedded tokens (N, hidden_size) to hidden states of the same shape. @internal */
export const hiddenStates = (
  config: ModelConfig,
  inputs: TracedInputs,
  embedded: Traced,
  project: Project,
  attend: Attend
): Traced => finalNorm(config, inputs, afterLayers(config, inputs, embedded, project, attend))
