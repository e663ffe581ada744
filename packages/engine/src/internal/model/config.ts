import * as Either from "effect/Either"
import type { ModelConfig, Rope, RopeScaling } from "../../ModelConfig.ts"

type Json = { readonly [name: string]: unknown }

const isJson = (u: unknown): u is Json => typeof u === "object" && u !== null && !Array.isArray(u)

class Refusal {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

// A small reader of untrusted fields: the first thing that is wrong ends the reading.
const refuse = (reason: string): never => {
  throw new Refusal(reason)
}

const show = (value: unknown): string => JSON.stringify(value) ?? String(value)

const size = (raw: Json, name: string, fallback?: number): number => {
  const value = raw[name] ?? fallback
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value < 2 ** 31
    ? value
    : refuse(`${name} is ${show(value)}: it must be a positive integer`)
}

const positive = (raw: Json, name: string, fallback?: number): number => {
  const value = raw[name] ?? fallback
  return typeof value === "number" && Number.isFinite(value) && value > 0
    ? value
    : refuse(`${name} is ${show(value)}: it must be a positive number`)
}

const families = ["llama", "qwen3"] as const

const family = (raw: Json): ModelConfig["model_type"] => {
  const type = families.find((name) => name === raw["model_type"])
  const architectures = raw["architectures"]
  const known = ["LlamaForCausalLM", "Qwen3ForCausalLM"]
  if (
    type === undefined ||
    (Array.isArray(architectures) && !architectures.every((name) => known.includes(name as string)))
  ) {
    return refuse(
      `the architecture is ${show(architectures ?? null)} of model_type ${show(raw["model_type"] ?? null)}: ` +
        `supported are ${known.join(" and ")}`
    )
  }
  return type
}

const scaling = (raw: Json): RopeScaling => {
  const type = raw["rope_type"] ?? raw["type"] ?? "default"
  switch (type) {
    case "default":
      return { type: "default" }
    case "linear":
      return { type: "linear", factor: positive(raw, "factor") }
    case "llama3": {
      const low_freq_factor = positive(raw, "low_freq_factor")
      const high_freq_factor = positive(raw, "high_freq_factor")
      if (high_freq_factor <= low_freq_factor) return refuse("high_freq_factor is not above low_freq_factor")
      return {
        type: "llama3",
        factor: positive(raw, "factor"),
        low_freq_factor,
        high_freq_factor,
        original_max_position_embeddings: size(raw, "original_max_position_embeddings")
      }
    }
    default:
      return refuse(`the rope scaling is ${show(type)}: supported are default, linear and llama3`)
  }
}

// transformers 5 writes rope_parameters; transformers 4 wrote rope_theta and rope_scaling
const rope = (raw: Json): Rope => {
  const parameters = isJson(raw["rope_parameters"]) ? raw["rope_parameters"] : {}
  const theta = positive(parameters, "rope_theta", positive(raw, "rope_theta", 10_000))
  const partial = parameters["partial_rotary_factor"] ?? raw["partial_rotary_factor"] ?? 1
  if (partial !== 1) return refuse(`partial_rotary_factor is ${show(partial)}: only whole heads are rotated`)
  return { theta, scaling: scaling(isJson(raw["rope_scaling"]) ? raw["rope_scaling"] : parameters) }
}

const checkFeatures = (raw: Json): void => {
  const activation = raw["hidden_act"] ?? "silu"
  if (activation !== "silu") refuse(`the activation is ${show(activation)}: only silu is supported`)
  for (const name of ["attention_bias", "mlp_bias"]) {
    if (raw[name] !== undefined && raw[name] !== null && raw[name] !== false) {
      refuse(`${name} is ${show(raw[name])}: biases are not supported`)
    }
  }
  // Qwen writes a window and switches it off
  const window = raw["sliding_window"]
  if (window !== undefined && window !== null && window !== 0 && raw["use_sliding_window"] !== false) {
    refuse(`sliding_window is ${show(window)}: only full attention is supported`)
  }
  const layers = raw["layer_types"]
  const other = Array.isArray(layers) ? layers.find((type) => type !== "full_attention") : undefined
  if (other !== undefined) refuse(`layer_types has ${show(other)}: only full_attention is supported`)
  if (isJson(raw["quantization_config"])) refuse("the weights are quantized: give a directory of float weights")
}

/** @internal */
export const parse = (json: unknown): Either.Either<ModelConfig, string> => {
  if (!isJson(json)) return Either.left("is not an object")
  try {
    const model_type = family(json)
    checkFeatures(json)
    const hidden_size = size(json, "hidden_size")
    const num_heads = size(json, "num_attention_heads")
    const num_kv_heads = size(json, "num_key_value_heads", num_heads)
    if (num_heads % num_kv_heads !== 0) {
      refuse(`num_attention_heads is ${num_heads}: it must be a multiple of num_key_value_heads, ${num_kv_heads}`)
    }
    const head_dim = size(json, "head_dim", Math.floor(hidden_size / num_heads))
    if (head_dim % 2 !== 0) refuse(`head_dim is ${head_dim}: it must be even`)
    return Either.right({
      model_type,
      vocab_size: size(json, "vocab_size"),
      hidden_size,
      intermediate_size: size(json, "intermediate_size"),
      num_layers: size(json, "num_hidden_layers"),
      num_heads,
      num_kv_heads,
      head_dim,
      rms_norm_eps: positive(json, "rms_norm_eps", 1e-6),
      qk_norm: model_type === "qwen3",
      tie_word_embeddings: json["tie_word_embeddings"] === true,
      max_context_length: size(json, "max_position_embeddings", 2048),
      rope: rope(json)
    })
  } catch (error) {
    if (error instanceof Refusal) return Either.left(error.reason)
    throw error
  }
}

/** @internal */
export const eosTokenIds = (...sources: ReadonlyArray<unknown>): ReadonlyArray<number> => {
  for (const source of sources) {
    const value = isJson(source) ? source["eos_token_id"] : undefined
    if (typeof value === "number") return [value]
    if (Array.isArray(value)) return value.filter((id): id is number => typeof id === "number")
  }
  return []
}
