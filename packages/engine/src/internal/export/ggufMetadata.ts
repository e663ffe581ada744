/** The metadata of a GGUF file for a model, and why llama.cpp would compute another model than the engine. */
import type { ModelConfig, Rope } from "../../ModelConfig.ts"
import { architectureOf } from "../gguf/model.ts"
import { divisors } from "../model/rope.ts"

/** A value with its type in the file. @internal */
export type Value =
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: ReadonlyArray<string> }
  | { readonly type: "i32s" | "f32s"; readonly value: ReadonlyArray<number> }

/** @internal */
export type Metadata = ReadonlyArray<readonly [key: string, value: Value]>

const u32 = (value: number): Value => ({ type: "u32", value })
const f32 = (value: number): Value => ({ type: "f32", value })
const string = (value: string): Value => ({ type: "string", value })

/** Llama.cpp knows the scale of attention of the largest Gemma 3 by its number of layers. */
const gemmaScale = (config: ModelConfig): number =>
  1 / Math.sqrt(config.num_layers === 62 ? config.hidden_size / config.num_heads : config.head_dim)

const isClose = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-6 * Math.abs(b)

/** Which layers llama.cpp takes to have a window, and which to have no rotary embedding, by their numbers. */
const isUsual = (config: ModelConfig): boolean =>
  config.layers.every(({ isSliding, rope }, layer) => {
    const isEvery = (n: number) => (layer + 1) % n === 0
    if (config.model_type === "gemma3") {
      return (
        rope === (isEvery(6) ? "global" : "local") && isSliding === (config.sliding_window !== undefined && !isEvery(6))
      )
    }
    return rope === (config.model_type === "smollm3" && isEvery(4) ? "none" : "global") && !isSliding
  })

const ropeProblem = (config: ModelConfig): string | undefined => {
  const { scaling } = config.rope
  switch (scaling.type) {
    case "default":
    case "linear":
      return undefined
    case "yarn":
      return scaling.beta_fast === 32 &&
        scaling.beta_slow === 1 &&
        scaling.truncate &&
        isClose(scaling.attention_factor, 1 + 0.1 * Math.log(scaling.factor))
        ? undefined
        : "its YaRN has settings of its own"
    case "llama3":
      return architectureOf(config) === "llama"
        ? undefined
        : "llama.cpp scales rotary embeddings as Llama 3 in Llamas alone"
    case "factors":
      return architectureOf(config) === "llama" && scaling.attention_factor === 1
        ? undefined
        : "its rotary embedding (LongRoPE) needs the factors of long contexts too"
  }
}

/** Every reason why llama.cpp would compute another model. @internal */
export const problems = (config: ModelConfig): ReadonlyArray<string> => {
  const rope = ropeProblem(config)
  const isGemma = config.model_type === "gemma3"
  const local = config.local_rope
  return [
    ...(rope === undefined ? [] : [rope]),
    ...(isUsual(config) ? [] : ["llama.cpp would give its layers other windows or rotary embeddings"]),
    ...(isClose(config.query_scale, isGemma ? gemmaScale(config) : 1 / Math.sqrt(config.head_dim))
      ? []
      : ["its scale of attention is not the one of llama.cpp"]),
    ...(local === undefined || (local.theta === 1e4 && local.scaling.type === "default")
      ? []
      : ["the rotary embedding of its sliding layers is not the one of llama.cpp"])
  ]
}

/** The factors by which frequencies are divided, if the file has them as a tensor. @internal */
export const ropeFactors = ({ head_dim, rope }: ModelConfig): Float32Array | undefined =>
  rope.scaling.type === "factors" || rope.scaling.type === "llama3"
    ? Float32Array.from(divisors(rope, head_dim))
    : undefined

const scalingMetadata = ({ scaling }: Rope): Metadata => {
  if (scaling.type === "linear") {
    return [
      ["rope.scaling.type", string("linear")],
      ["rope.scaling.factor", f32(scaling.factor)]
    ]
  }
  return scaling.type === "yarn"
    ? [
        ["rope.scaling.type", string("yarn")],
        ["rope.scaling.factor", f32(scaling.factor)],
        ["rope.scaling.original_context_length", u32(scaling.original_max_position_embeddings)]
      ]
    : []
}

/** Without a window, files of Gemma 3 would have the same rotary embedding in all layers. */
const windowMetadata = (config: ModelConfig): Metadata =>
  config.model_type === "gemma3"
    ? [["attention.sliding_window", u32(config.sliding_window ?? config.max_context_length)]]
    : []

const modelMetadata = (config: ModelConfig): Metadata => [
  ["context_length", u32(config.max_context_length)],
  ["embedding_length", u32(config.hidden_size)],
  ["block_count", u32(config.num_layers)],
  ["feed_forward_length", u32(config.intermediate_size)],
  ["vocab_size", u32(config.vocab_size)],
  ["attention.head_count", u32(config.num_heads)],
  ["attention.head_count_kv", u32(config.num_kv_heads)],
  ["attention.key_length", u32(config.head_dim)],
  ["attention.value_length", u32(config.head_dim)],
  ["attention.layer_norm_rms_epsilon", f32(config.rms_norm_eps)],
  ["rope.freq_base", f32(config.rope.theta)],
  ["rope.dimension_count", u32(config.head_dim)],
  ...scalingMetadata(config.rope),
  ...windowMetadata(config)
]

/** The type of a value of the tokenizer, by its key. */
const typed = (key: string, value: unknown): Value | undefined => {
  if (typeof value === "string") return string(value)
  if (typeof value === "boolean") return { type: "bool", value }
  if (typeof value === "number") return u32(value)
  if (!Array.isArray(value)) return undefined
  if (key.endsWith(".scores")) return { type: "f32s", value }
  return value.every((item) => typeof item === "string") ? { type: "strings", value } : { type: "i32s", value }
}

/** The tokens that end a text, by the names that files have for them. */
const endsOf = (ids: ReadonlyArray<number>): ReadonlyArray<readonly [string, number]> =>
  ["eos", "eot", "eom"].flatMap((name, i) =>
    ids[i] === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, ids[i]] as const]
  )

/** All metadata. The tokenizer is given by its own keys. @internal */
export const make = (
  name: string,
  config: ModelConfig,
  fileType: number,
  tokenizer: { readonly [key: string]: unknown },
  eosTokenIds: ReadonlyArray<number>
): Metadata => {
  const architecture = architectureOf(config)
  const words = Object.entries({ ...tokenizer, ...Object.fromEntries(endsOf(eosTokenIds)) })
  return [
    ["general.architecture", string(architecture)],
    ["general.type", string("model")],
    ["general.name", string(name)],
    ["general.file_type", u32(fileType)],
    ["general.quantization_version", u32(2)],
    ...modelMetadata(config).map(([key, value]) => [`${architecture}.${key}`, value] as const),
    ...words.flatMap(([key, value]) => {
      const found = key.startsWith("tokenizer.") ? typed(key, value) : undefined
      return found === undefined ? [] : [[key, found] as const]
    })
  ]
}
