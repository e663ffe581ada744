/** Parses `config.json` of a Hugging Face model, and rejects models that the engine cannot run faithfully. */
import * as Either from "effect/Either"
import type { ModelConfig, Rope, RopeScaling } from "../../ModelConfig.ts"

type Json = { readonly [name: string]: unknown }

const isJson = (u: unknown): u is Json => typeof u === "object" && u !== null && !Array.isArray(u)

/** Why a configuration is rejected. */
class Unsupported {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

/** Ends the parsing of a field. */
const reject = (reason: string): never => {
  throw new Unsupported(reason)
}

const show = (value: unknown): string => JSON.stringify(value) ?? String(value)

const positiveInteger = (raw: Json, name: string, fallback?: number): number => {
  const value = raw[name] ?? fallback
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value < 2 ** 31
    ? value
    : reject(`${name} is ${show(value)}: it must be a positive integer`)
}

const positiveNumber = (raw: Json, name: string, fallback?: number): number => {
  const value = raw[name] ?? fallback
  return typeof value === "number" && Number.isFinite(value) && value > 0
    ? value
    : reject(`${name} is ${show(value)}: it must be a positive number`)
}

const modelTypes = ["llama", "qwen3"] as const
const supportedArchitectures = ["LlamaForCausalLM", "Qwen3ForCausalLM"]

const parseModelType = (raw: Json): ModelConfig["model_type"] => {
  const type = modelTypes.find((name) => name === raw["model_type"])
  const architectures = raw["architectures"]
  if (
    type === undefined ||
    (Array.isArray(architectures) && !architectures.every((name) => supportedArchitectures.includes(name as string)))
  ) {
    return reject(
      `the architecture is ${show(architectures ?? null)} of model_type ${show(raw["model_type"] ?? null)}: ` +
        `supported are ${supportedArchitectures.join(" and ")}`
    )
  }
  return type
}

const parseRopeScaling = (raw: Json): RopeScaling => {
  const type = raw["rope_type"] ?? raw["type"] ?? "default"
  switch (type) {
    case "default":
      return { type: "default" }
    case "linear":
      return { type: "linear", factor: positiveNumber(raw, "factor") }
    case "llama3": {
      const low_freq_factor = positiveNumber(raw, "low_freq_factor")
      const high_freq_factor = positiveNumber(raw, "high_freq_factor")
      if (high_freq_factor <= low_freq_factor) return reject("high_freq_factor must be larger than low_freq_factor")
      return {
        type: "llama3",
        factor: positiveNumber(raw, "factor"),
        low_freq_factor,
        high_freq_factor,
        original_max_position_embeddings: positiveInteger(raw, "original_max_position_embeddings")
      }
    }
    default:
      return reject(`the rope scaling is ${show(type)}: supported are default, linear and llama3`)
  }
}

/** Transformers 5 writes `rope_parameters`; earlier versions write `rope_theta` and `rope_scaling`. */
const parseRope = (raw: Json): Rope => {
  const parameters = isJson(raw["rope_parameters"]) ? raw["rope_parameters"] : {}
  const theta = positiveNumber(parameters, "rope_theta", positiveNumber(raw, "rope_theta", 10_000))
  const partial = parameters["partial_rotary_factor"] ?? raw["partial_rotary_factor"] ?? 1
  if (partial !== 1) return reject(`partial_rotary_factor is ${show(partial)}: only 1 is supported`)
  return { theta, scaling: parseRopeScaling(isJson(raw["rope_scaling"]) ? raw["rope_scaling"] : parameters) }
}

/** Every feature that the engine does not compute. */
const unsupportedFeatures = (raw: Json): ReadonlyArray<string> => {
  const reasons: Array<string> = []
  const reject = (reason: string) => void reasons.push(reason)
  const activation = raw["hidden_act"] ?? "silu"
  if (activation !== "silu") reject(`the activation is ${show(activation)}: only silu is supported`)
  for (const name of ["attention_bias", "mlp_bias"]) {
    if (raw[name] !== undefined && raw[name] !== null && raw[name] !== false) {
      reject(`${name} is ${show(raw[name])}: biases are not supported`)
    }
  }
  // Qwen models have a sliding_window even where use_sliding_window switches it off
  const window = raw["sliding_window"]
  if (window !== undefined && window !== null && window !== 0 && raw["use_sliding_window"] !== false) {
    reject(`sliding_window is ${show(window)}: only full attention is supported`)
  }
  const layers = raw["layer_types"]
  const other = Array.isArray(layers) ? layers.find((type) => type !== "full_attention") : undefined
  if (other !== undefined) reject(`layer_types has ${show(other)}: only full_attention is supported`)
  if (isJson(raw["quantization_config"])) reject("the weights are quantized: use a model with float weights")
  return reasons
}

/** Parses fields one by one, and remembers why some are rejected. */
class Fields {
  readonly reasons: Array<string> = []
  /** The field, or something in its place if it is rejected: then nothing is returned in the end. */
  read<A>(parse: () => A): A {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      this.reasons.push(error.reason)
      return undefined as A
    }
  }
}

const parseHeads = (raw: Json, hidden: number | undefined) => {
  const num_heads = positiveInteger(raw, "num_attention_heads")
  const num_kv_heads = positiveInteger(raw, "num_key_value_heads", num_heads)
  if (num_heads % num_kv_heads !== 0) {
    reject(`num_attention_heads is ${num_heads}: it must be a multiple of num_key_value_heads, ${num_kv_heads}`)
  }
  const head_dim = positiveInteger(raw, "head_dim", Math.floor((hidden ?? 2 * num_heads) / num_heads))
  if (head_dim % 2 !== 0) reject(`head_dim is ${head_dim}: it must be even`)
  return { num_heads, num_kv_heads, head_dim }
}

/** The configuration, or every reason why it is rejected. @internal */
export const parse = (json: unknown): Either.Either<ModelConfig, string> => {
  if (!isJson(json)) return Either.left("is not an object")
  const fields = new Fields()
  const integer = (name: string, fallback?: number) => fields.read(() => positiveInteger(json, name, fallback))
  const model_type = fields.read(() => parseModelType(json))
  fields.reasons.push(...unsupportedFeatures(json))
  const hidden_size = integer("hidden_size")
  const config: ModelConfig = {
    model_type,
    vocab_size: integer("vocab_size"),
    hidden_size,
    intermediate_size: integer("intermediate_size"),
    num_layers: integer("num_hidden_layers"),
    ...fields.read(() => parseHeads(json, hidden_size)),
    rms_norm_eps: fields.read(() => positiveNumber(json, "rms_norm_eps", 1e-6)),
    qk_norm: model_type === "qwen3",
    tie_word_embeddings: json["tie_word_embeddings"] === true,
    max_context_length: integer("max_position_embeddings", 2048),
    rope: fields.read(() => parseRope(json))
  }
  return fields.reasons.length === 0 ? Either.right(config) : Either.left(fields.reasons.join("; "))
}

/** The `eos_token_id` of the first source that has one, as a list. @internal */
export const eosTokenIds = (...sources: ReadonlyArray<unknown>): ReadonlyArray<number> => {
  for (const source of sources) {
    const value = isJson(source) ? source["eos_token_id"] : undefined
    if (typeof value === "number") return [value]
    if (Array.isArray(value)) return value.filter((id): id is number => typeof id === "number")
  }
  return []
}
