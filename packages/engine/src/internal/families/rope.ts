/** The rotary position embedding of a `config.json`. */
import type { Rope, RopeScaling } from "../../ModelConfig.ts"
import { isJson, type Json, positiveInteger, positiveNumber, reject, show } from "./fields.ts"

/** What the scaling depends on besides its own fields. @internal */
export interface RopeContext {
  readonly head_dim: number
  readonly max_position_embeddings: number
  /** the context before it was extended, which some files have outside of the scaling */
  readonly original_max_position_embeddings?: unknown
}

const llama3 = (raw: Json): RopeScaling => {
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

/** The factor of attention by which YaRN makes up for a longer context. */
const yarnScale = (factor: number, scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1)

const yarnAttention = (raw: Json, factor: number): number => {
  const [mscale, all] = [raw["mscale"], raw["mscale_all_dim"]]
  return typeof mscale === "number" && typeof all === "number" && mscale !== 0 && all !== 0
    ? yarnScale(factor, mscale) / yarnScale(factor, all)
    : yarnScale(factor, 1)
}

const yarn = (raw: Json, context: RopeContext): RopeScaling => {
  const original = positiveInteger(raw, "original_max_position_embeddings", context.max_position_embeddings)
  const factor = positiveNumber(raw, "factor", context.max_position_embeddings / original)
  return {
    type: "yarn",
    factor,
    original_max_position_embeddings: original,
    attention_factor: positiveNumber(raw, "attention_factor", yarnAttention(raw, factor)),
    beta_fast: positiveNumber(raw, "beta_fast", 32),
    beta_slow: positiveNumber(raw, "beta_slow", 1),
    truncate: raw["truncate"] !== false
  }
}

/** Within the context that the model was trained for, where the short factors apply. */
const longrope = (raw: Json, context: RopeContext): RopeScaling => {
  const given = context.original_max_position_embeddings
  const original = positiveInteger(
    raw,
    "original_max_position_embeddings",
    typeof given === "number" ? given : undefined
  )
  const factor = positiveNumber(raw, "factor", context.max_position_embeddings / original)
  const factors = raw["short_factor"]
  const isRight = (value: unknown) => typeof value === "number" && Number.isFinite(value) && value > 0
  if (!Array.isArray(factors) || factors.length !== context.head_dim / 2 || !factors.every(isRight)) {
    return reject(`short_factor must be a list of ${context.head_dim / 2} positive numbers`)
  }
  const attention = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))
  return {
    type: "factors",
    factors: factors as ReadonlyArray<number>,
    attention_factor: positiveNumber(raw, "attention_factor", attention),
    largest_context: original
  }
}

const parseScaling = (raw: Json, context: RopeContext): RopeScaling => {
  const type = raw["rope_type"] ?? raw["type"] ?? "default"
  switch (type) {
    case "default":
      return { type: "default" }
    case "linear":
      return { type: "linear", factor: positiveNumber(raw, "factor") }
    case "dynamic":
      // its base grows with sequences that are longer than the context, which the engine does not take
      positiveNumber(raw, "factor")
      return { type: "default" }
    case "llama3":
      return llama3(raw)
    case "yarn":
      return yarn(raw, context)
    case "longrope":
    case "su":
      return longrope(raw, context)
    default:
      return reject(
        `the rope scaling is ${show(type)}: supported are default, linear, dynamic, llama3, yarn and longrope`
      )
  }
}

const checkPartial = (value: unknown): void => {
  if (value !== 1) reject(`partial_rotary_factor is ${show(value)}: only 1 is supported`)
}

/** Transformers 5 writes `rope_parameters`; earlier versions write `rope_theta` and `rope_scaling`. @internal */
export const parseRope = (raw: Json, context: RopeContext): Rope => {
  const parameters = isJson(raw["rope_parameters"]) ? raw["rope_parameters"] : {}
  const theta = positiveNumber(parameters, "rope_theta", positiveNumber(raw, "rope_theta", 10_000))
  checkPartial(parameters["partial_rotary_factor"] ?? raw["partial_rotary_factor"] ?? 1)
  return { theta, scaling: parseScaling(isJson(raw["rope_scaling"]) ? raw["rope_scaling"] : parameters, context) }
}
