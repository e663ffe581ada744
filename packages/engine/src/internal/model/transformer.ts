/**
 * The decoder of the Llama and Qwen3 families, traced with jax-js.
 *
 * It uses few primitives, so that they can be lowered to ONNX: add, mul, neg, exp, log, sqrt, reciprocal, min, max,
 * compare, where, reduce, dot, transpose, reshape, broadcast, flip, stop_gradient. N counts the positions of all rows.
 */
import { numpy as np } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import type { Traced } from "../executors/executor.ts"
import * as architecture from "./architecture.ts"
import type { Attend } from "./attention.ts"

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

/** Applies the linear layer of a name. @internal */
export type Project = (x: Traced, name: string) => Traced

/** The linear layers of the base model. @internal */
export const baseProjection =
  (config: ModelConfig, inputs: TracedInputs): Project =>
  (x, name) =>
    linear(x, inputs[name === "lm_head" ? architecture.unembedding(config) : `${name}.weight`]!.ref)

/** The linear layers with LoRA: `x W^T + (scaling x A^T) B^T`, where the adapter has A and B. @internal */
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

/** Applies rotary position embeddings to heads (N, heads, head_dim), by the inputs `cos` and `sin`. */
const rotate = (x: Traced, inputs: TracedInputs): Traced => {
  const [n, heads, headDim] = x.shape as [number, number, number]
  const swapped = np.flip(x.ref.reshape([n, heads, 2, headDim / 2]), 2).reshape([n, heads, headDim])
  return x.mul(inputs["cos"]!.ref).add(swapped.mul(inputs["sin"]!.ref))
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

/** The part of a layer before attention: from the input of the layer (N, hidden_size). @internal */
export const attentionInputs = (
  config: ModelConfig,
  inputs: TracedInputs,
  layer: number,
  x: Traced,
  project: Project
): AttentionInputs => {
  const { head_dim, num_heads, num_kv_heads, rms_norm_eps } = config
  const n = x.shape[0]!
  const prefix = `model.layers.${layer}`
  const normed = rmsNorm(x, inputs[`${prefix}.input_layernorm.weight`]!.ref, rms_norm_eps)
  const split = (x: Traced, name: "q" | "k" | "v", heads: number): Traced => {
    const projected = project(x, `${prefix}.self_attn.${name}_proj`).reshape([n, heads, head_dim])
    return config.qk_norm && name !== "v"
      ? rmsNorm(projected, inputs[`${prefix}.self_attn.${name}_norm.weight`]!.ref, rms_norm_eps)
      : projected
  }
  const queries = rotate(split(normed.ref, "q", num_heads), inputs)
  const keys = rotate(split(normed.ref, "k", num_kv_heads), inputs)
  return { queries, keys, values: split(normed, "v", num_kv_heads) }
}

const mlpBlock = (layer: number, x: Traced, project: Project): Traced => {
  const prefix = `model.layers.${layer}.mlp`
  const gate = silu(project(x.ref, `${prefix}.gate_proj`))
  const up = project(x, `${prefix}.up_proj`)
  return project(gate.mul(up), `${prefix}.down_proj`)
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
  const joined = attended.reshape([x.shape[0]!, num_heads * head_dim])
  const middle = x.add(project(joined, `${prefix}.self_attn.o_proj`))
  const normed = rmsNorm(middle.ref, inputs[`${prefix}.post_attention_layernorm.weight`]!.ref, rms_norm_eps)
  return middle.add(mlpBlock(layer, normed, project))
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
    const { keys, queries, values } = attentionInputs(config, inputs, layer, x.ref, project)
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
