import { lax, numpy as np, valueAndGrad } from "@jax-js/jax"
import type { ModelConfig } from "../../ModelConfig.ts"
import * as config from "./architecture.ts"
import type { Program, Spec, Traced } from "../executors/executor.ts"

/**
 * The model as programs of jax-js. The traced primitives are kept few, so that other executors can lower them: add, mul,
 * neg, exp, log, sqrt, reciprocal, min, max, compare, where, reduce, dot, transpose, reshape, broadcast, flip,
 * stop_gradient.
 *
 * Throughout, N counts positions of all rows, D is `hidden_size`, H and KV the heads of queries and of keys, HD
 * `head_dim`, V `vocab_size`. Every use of an array consumes it, hence the `.ref`s.
 */

type Inputs = { readonly [name: string]: Traced }

const float = (...shape: ReadonlyArray<number>): Spec => ({ shape, dtype: "float32" })
const int = (...shape: ReadonlyArray<number>): Spec => ({ shape, dtype: "int32" })

/** `x @ w.T` for a weight in Hugging Face's layout (out, in), which is also the faster one. */
const linear = (x: Traced, weight: Traced): Traced => np.matmul(x, weight.transpose())

const rmsNorm = (x: Traced, weight: Traced, eps: number): Traced => {
  const square = x.ref.mul(x.ref).mean(-1, { keepdims: true })
  return x.mul(np.reciprocal(np.sqrt(square.add(eps)))).mul(weight)
}

/** Beyond this, exp(-x) could be infinite, and the gradient 0 times that. */
const steepest = 80

const silu = (x: Traced): Traced => x.ref.mul(np.reciprocal(np.exp(np.minimum(x.neg(), steepest)).add(1)))

/** A layer's linear maps by name, with or without an adapter. */
type Project = (x: Traced, name: string) => Traced

const dense =
  (inputs: Inputs, head: string): Project =>
  (x, name) =>
    linear(x, inputs[name === "lm_head" ? head : `${name}.weight`]!.ref)

const adapted =
  (inputs: Inputs, lora: Inputs, head: string): Project =>
  (x, name) => {
    const a = lora[`${name}.A`]
    if (a === undefined) return dense(inputs, head)(x, name)
    // scaled where there is least of it
    const low = linear(x.ref, a.ref).mul(inputs["scaling"]!.ref)
    return dense(inputs, head)(x, name).add(linear(low, lora[`${name}.B`]!.ref))
  }

/** Turns queries (N, H, HD), keys and values (N, KV, HD) into outputs (N, H, HD). */
type Attend = (layer: number, q: Traced, k: Traced, v: Traced) => Traced

/** From embedded tokens (N, D) to normalised hidden states (N, D). */
const trunk = (model: ModelConfig, inputs: Inputs, x: Traced, project: Project, attend: Attend): Traced => {
  const { head_dim: hd, num_heads: h, num_kv_heads: kv, rms_norm_eps: eps } = model
  const n = x.shape[0]!
  const norm = (x: Traced, name: string) => rmsNorm(x, inputs[`${name}.weight`]!.ref, eps)
  const rotate = (x: Traced) => {
    const heads = x.shape[1]!
    const swapped = np.flip(x.ref.reshape([n, heads, 2, hd / 2]), 2).reshape([n, heads, hd])
    return x.mul(inputs["cos"]!.ref).add(swapped.mul(inputs["sin"]!.ref))
  }
  for (let layer = 0; layer < model.num_layers; layer++) {
    const prefix = `model.layers.${layer}`
    const heads = (x: Traced, name: "q" | "k" | "v", count: number) => {
      const split = project(x, `${prefix}.self_attn.${name}_proj`).reshape([n, count, hd])
      return model.qk_norm && name !== "v" ? norm(split, `${prefix}.self_attn.${name}_norm`) : split
    }
    const before = norm(x.ref, `${prefix}.input_layernorm`)
    const q = rotate(heads(before.ref, "q", h))
    const k = rotate(heads(before.ref, "k", kv))
    const v = heads(before, "v", kv)
    x = x.add(project(attend(layer, q, k, v).reshape([n, h * hd]), `${prefix}.self_attn.o_proj`))
    const middle = norm(x.ref, `${prefix}.post_attention_layernorm`)
    const gate = silu(project(middle.ref, `${prefix}.mlp.gate_proj`))
    const up = project(middle, `${prefix}.mlp.up_proj`)
    x = x.add(project(gate.mul(up), `${prefix}.mlp.down_proj`))
  }
  return norm(x, "model.norm")
}

/** Attention within rows of `length` positions each; `mask` (rows, length, length) is added to the scores. */
const withinRows =
  (model: ModelConfig, rows: number, length: number, mask: Traced): Attend =>
  (_layer, q, k, v) => {
    const { head_dim: hd, num_heads: h, num_kv_heads: kv } = model
    const grouped = q
      .mul(1 / Math.sqrt(hd))
      .reshape([rows, length, kv, h / kv, hd])
      .transpose([0, 2, 3, 1, 4])
    const keys = k.reshape([rows, length, kv, hd]).transpose([0, 2, 3, 1]).reshape([rows, kv, 1, hd, length])
    const values = v.reshape([rows, length, kv, hd]).transpose([0, 2, 1, 3]).reshape([rows, kv, 1, length, hd])
    const scores = np.matmul(grouped, keys).add(mask.ref.reshape([rows, 1, 1, length, length]))
    const top = lax.stopGradient(scores.ref.max(-1, { keepdims: true }))
    const weights = np.exp(scores.sub(top))
    const total = weights.ref.sum(-1, { keepdims: true })
    return np
      .matmul(weights.mul(np.reciprocal(total)), values)
      .transpose([0, 3, 1, 2, 4])
      .reshape([rows * length, h, hd])
  }

/** Attention of one new position per row to `length` earlier ones, kept in `keys.i` and `values.i`, and to itself. */
const afterCache =
  (model: ModelConfig, inputs: Inputs, rows: number, length: number, fresh: Array<Traced>): Attend =>
  (layer, q, k, v) => {
    const { head_dim: hd, num_heads: h, num_kv_heads: kv } = model
    fresh.push(k.ref, v.ref)
    const grouped = q.mul(1 / Math.sqrt(hd)).reshape([rows, kv, h / kv, hd])
    const own = grouped.ref.mul(k.reshape([rows, kv, 1, hd])).sum(-1, { keepdims: true })
    const scores = np
      .matmul(grouped, inputs[`keys.${layer}`]!.ref.transpose([0, 1, 3, 2]))
      .add(inputs["mask"]!.ref.reshape([1, 1, 1, length]))
    const top = np.maximum(scores.ref.max(-1, { keepdims: true }), own.ref)
    const weights = np.exp(scores.sub(top.ref))
    const ownWeight = np.exp(own.sub(top))
    const total = weights.ref.sum(-1, { keepdims: true }).add(ownWeight.ref)
    return np
      .matmul(weights, inputs[`values.${layer}`]!.ref)
      .add(ownWeight.mul(v.reshape([rows, kv, 1, hd])))
      .mul(np.reciprocal(total))
      .reshape([rows, h, hd])
  }

/** The frozen weights that every program reads; the embedding is read outside, row by row. */
const frozen = (model: ModelConfig): Record<string, Spec> => {
  const out: Record<string, Spec> = {}
  for (const [name, length] of config.norms(model)) out[name] = float(length)
  for (const linear of config.linears(model)) {
    out[linear.part === "unembed" ? config.unembedding(model) : `${linear.name}.weight`] = float(linear.out, linear.in)
  }
  return out
}

const adapters = (linears: ReadonlyArray<config.Linear>, rank: number): Record<string, Spec> => {
  const out: Record<string, Spec> = {}
  for (const linear of linears) {
    out[`${linear.name}.A`] = float(rank, linear.in)
    out[`${linear.name}.B`] = float(linear.out, rank)
  }
  return out
}

const consume = (inputs: Inputs): void => {
  for (const input of Object.values(inputs)) input.dispose()
}

const identify = (kind: string, model: ModelConfig, ...rest: ReadonlyArray<string | number>): string => {
  const { head_dim, hidden_size, intermediate_size, num_heads, num_kv_heads, num_layers, vocab_size } = model
  const dimensions = [num_layers, hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim, vocab_size]
  const variant = `${model.qk_norm ? "n" : ""}${model.tie_word_embeddings ? "t" : ""}${model.rms_norm_eps}`
  return [kind, dimensions.join("x"), variant, ...rest].join(" ")
}

/** The shape of one run of training: `rows` of `length` positions, with `targets` target tokens at each. @internal */
export interface Shape {
  readonly rows: number
  readonly length: number
  readonly targets: number
}

/** The inputs of the slope of the loss, per position and target; see `losses.ts`. @internal */
export const slopeInputs = ["linear", "clipped", "gated", "pulled", "low", "high", "old"] as const

/**
 * The slope of the loss by each target's logprob, as a function of that logprob. Nothing is differentiated here.
 */
const slopeOf = (inputs: Inputs, logprobs: Traced): Traced => {
  const input = (name: (typeof slopeInputs)[number]) => inputs[name]!.ref
  const gap = logprobs.sub(input("old"))
  const ratio = np.exp(gap.ref)
  const clipped = np.minimum(np.maximum(ratio.ref, input("low")), input("high"))
  const within = np.where(ratio.ref.equal(clipped.ref), ratio, 0)
  return input("linear")
    .add(clipped.mul(input("clipped")))
    .add(within.mul(input("gated")))
    .add(gap.mul(input("pulled")))
}

/**
 * The logprobs of target tokens, and, when `backward`, the gradient of the loss by the adapter.
 *
 * Inputs besides the weights: `x` (N, D) embedded tokens, `cos` and `sin` (N, 1, HD), `mask` (rows, length, length),
 * `vocabulary` (V) 0, 1, 2 …, `tokens` (N, K) targets, `scaling`, the adapter, and for `backward` the `slopeInputs`
 * (N, K).
 *
 * Outputs: the targets' logits less the largest of the position (N, K), and the sum of the exponentials of such
 * differences (N), so that logprob = first - log(second); then the gradients in the adapter's order, A before B.
 *
 * @internal
 */
export const training = (
  model: ModelConfig,
  linears: ReadonlyArray<config.Linear>,
  rank: number,
  shape: Shape,
  backward: boolean
): Program => {
  const { length, rows, targets } = shape
  const n = rows * length
  const lora = adapters(linears, rank)
  const slopes = Object.fromEntries(slopeInputs.map((name) => [name, float(n, targets)]))
  const parts = [...new Set(linears.map(({ part }) => part))].join("+")

  const forward = (inputs: Inputs, lora: Inputs): readonly [shifted: Traced, total: Traced] => {
    const project = adapted(inputs, lora, config.unembedding(model))
    const attend = withinRows(model, rows, length, inputs["mask"]!)
    const logits = project(trunk(model, inputs, inputs["x"]!.ref, project, attend), "lm_head")
    const top = lax.stopGradient(logits.ref.max(-1, { keepdims: true }))
    const shifted = logits.sub(top)
    const total = np.exp(shifted.ref).sum(-1)
    const isTarget = inputs["vocabulary"]!.ref.reshape([1, 1, model.vocab_size]).equal(
      inputs["tokens"]!.ref.reshape([n, targets, 1])
    )
    return [np.where(isTarget, shifted.reshape([n, 1, model.vocab_size]), 0).sum(-1), total]
  }

  // The gradient of sum(slope * logprob), slope held fixed, is the gradient of the loss, whichever loss it is: so one
  // program serves all of them.
  const surrogate = (lora: Inputs, inputs: Inputs): [Traced, Array<Traced>] => {
    const [shifted, total] = forward(inputs, lora)
    const logprobs = shifted.ref.sub(np.log(total.ref).reshape([n, 1]))
    const slope = slopeOf(inputs, lax.stopGradient(logprobs.ref))
    const value = logprobs.mul(lax.stopGradient(slope)).sum()
    consume(inputs)
    consume(lora)
    return [value, [lax.stopGradient(shifted), lax.stopGradient(total)]]
  }

  return {
    key: identify(backward ? "train" : "score", model, parts, rank, rows, length, targets),
    inputs: {
      ...frozen(model),
      x: float(n, model.hidden_size),
      cos: float(n, 1, model.head_dim),
      sin: float(n, 1, model.head_dim),
      mask: float(rows, length, length),
      vocabulary: int(model.vocab_size),
      tokens: int(n, targets),
      scaling: float(),
      ...(backward ? slopes : {}),
      ...lora
    },
    trace: (all) => {
      const names = Object.keys(lora)
      const adapter = Object.fromEntries(names.map((name) => [name, all[name]!]))
      const rest = Object.fromEntries(Object.entries(all).filter(([name]) => !Object.hasOwn(lora, name)))
      if (!backward) {
        const outputs = forward(rest, adapter)
        consume(all)
        return outputs
      }
      const [[value, outputs], gradients] = valueAndGrad(surrogate, { hasAux: true })(adapter, rest)
      value.dispose()
      return [...outputs, ...names.map((name) => gradients[name]!)]
    }
  }
}

/**
 * Reads a prompt in one row of `length` positions.
 *
 * Inputs: as `training`, without adapter and targets. With `all`, the outputs begin with the logits of every position
 * (N, V); else `last` (1, N) selects a position, and they begin with its logits (1, V). Then keys and values
 * (N, KV, HD) of each layer.
 *
 * @internal
 */
export const prefill = (model: ModelConfig, length: number, all: boolean): Program => ({
  key: identify("prefill", model, length, all ? "all" : "last"),
  inputs: {
    ...frozen(model),
    x: float(length, model.hidden_size),
    cos: float(length, 1, model.head_dim),
    sin: float(length, 1, model.head_dim),
    mask: float(1, length, length),
    ...(all ? {} : { last: float(1, length) })
  },
  trace: (inputs) => {
    const kept: Array<Traced> = []
    const project = dense(inputs, config.unembedding(model))
    const within = withinRows(model, 1, length, inputs["mask"]!)
    const hidden = trunk(model, inputs, inputs["x"]!.ref, project, (layer, q, k, v) => {
      kept.push(k.ref, v.ref)
      return within(layer, q, k, v)
    })
    const logits = project(all ? hidden : np.matmul(inputs["last"]!.ref, hidden), "lm_head")
    consume(inputs)
    return [logits, ...kept]
  }
})

/**
 * Reads one more token in each of `rows` sequences of equal length.
 *
 * Inputs: the weights; `x` (rows, D); `cos` and `sin` (1, 1, HD) of the new position; `mask` (length), added to the
 * scores of the places of the cache; `keys.i` and `values.i` (rows, KV, length, HD). Outputs: logits (rows, V), and the
 * new keys and values (rows, KV, HD) of each layer.
 *
 * @internal
 */
export const decode = (model: ModelConfig, rows: number, length: number): Program => {
  const cache: Record<string, Spec> = {}
  for (let layer = 0; layer < model.num_layers; layer++) {
    cache[`keys.${layer}`] = float(rows, model.num_kv_heads, length, model.head_dim)
    cache[`values.${layer}`] = float(rows, model.num_kv_heads, length, model.head_dim)
  }
  return {
    key: identify("decode", model, rows, length),
    inputs: {
      ...frozen(model),
      x: float(rows, model.hidden_size),
      cos: float(1, 1, model.head_dim),
      sin: float(1, 1, model.head_dim),
      mask: float(length),
      ...cache
    },
    trace: (inputs) => {
      const fresh: Array<Traced> = []
      const project = dense(inputs, config.unembedding(model))
      const attend = afterCache(model, inputs, rows, length, fresh)
      const logits = project(trunk(model, inputs, inputs["x"]!.ref, project, attend), "lm_head")
      consume(inputs)
      return [logits, ...fresh]
    }
  }
}
