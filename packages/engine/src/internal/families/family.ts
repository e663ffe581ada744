/** What a family of decoders has of its own, beside the sizes that all have. */
import type { LayerAttention, ModelConfig, Rope } from "../../ModelConfig.ts"
import type { Json } from "./fields.ts"
import { show } from "./fields.ts"
import { parseRope, type RopeContext } from "./rope.ts"

/** The fields in which families differ. @internal */
export type Traits = Pick<
  ModelConfig,
  | "qk_norm"
  | "qkv_bias"
  | "fused_projections"
  | "post_norms"
  | "norm_offset"
  | "activation"
  | "embedding_scale"
  | "query_scale"
  | "layers"
  | "sliding_window"
> & { readonly rope: Rope; readonly local_rope?: Rope | undefined }

/** The sizes that traits depend on. @internal */
export interface Sizes extends RopeContext {
  readonly hidden_size: number
  readonly num_layers: number
}

/** @internal */
export interface Family {
  readonly name: ModelConfig["model_type"]
  /** by which `config.json` names it, besides the name */
  readonly modelTypes?: ReadonlyArray<string>
  readonly architecture: string
  /** what transformers takes for fields that `config.json` leaves out, where it is not what all families take */
  readonly defaults?: Json
  /** the field with the activation, and the one that is supported */
  readonly activation?: readonly [field: string, value: string]
  /** what differs from a Llama */
  readonly traits: (raw: Json, sizes: Sizes) => Partial<Traits>
  /** every feature that the engine does not compute, besides those of all families */
  readonly unsupported?: (raw: Json) => ReadonlyArray<string>
}

/** Attention of all layers to all positions, with rotary embeddings. */
const fullAttention = (layers: number): ReadonlyArray<LayerAttention> =>
  Array.from({ length: layers }, () => ({ isSliding: false, rope: "global" }))

/** The traits of a Llama, where a family has no others. @internal */
export const traitsOf = (family: Family, raw: Json, sizes: Sizes): Traits => ({
  qk_norm: false,
  qkv_bias: false,
  fused_projections: false,
  post_norms: false,
  norm_offset: 0,
  activation: "silu",
  embedding_scale: 1,
  query_scale: 1 / Math.sqrt(sizes.head_dim),
  layers: fullAttention(sizes.num_layers),
  sliding_window: undefined,
  rope: parseRope(raw, sizes),
  ...family.traits(raw, sizes)
})

/** Features of all families that the engine does not compute. @internal */
export const unsupportedFeatures = (family: Family | undefined, raw: Json): ReadonlyArray<string> => {
  const reasons: Array<string> = []
  const [field, supported] = family?.activation ?? ["hidden_act", "silu"]
  const activation = raw[field] ?? supported
  if (activation !== supported) reasons.push(`the activation is ${show(activation)}: only ${supported} is supported`)
  for (const name of ["attention_bias", "mlp_bias"]) {
    if (raw[name] !== undefined && raw[name] !== null && raw[name] !== false) {
      reasons.push(`${name} is ${show(raw[name])}: biases are supported in Qwen2 alone`)
    }
  }
  if (typeof raw["quantization_config"] === "object" && raw["quantization_config"] !== null) {
    reasons.push("the weights are quantized: use a model with float weights, or a GGUF file")
  }
  return [...reasons, ...(family?.unsupported?.(raw) ?? [])]
}
