/** A model in a GGUF file: its configuration and its weights, by the names of Hugging Face. */
import type * as SafeTensors from "@effect-tinker/server/SafeTensors"
import type * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ModelConfig } from "../../ModelConfig.ts"
import * as architecture from "../model/architecture.ts"
import * as config from "../model/config.ts"
import { isEqual, sizeOf } from "../util/shape.ts"
import { bytesOf, dequantize, formats } from "./dequantize.ts"

type TensorInfo = Gguf.Header["tensors"][number]

/** The architectures by their names in the metadata. */
const architectures: { readonly [name: string]: readonly [modelType: string, architecture: string] } = {
  llama: ["llama", "LlamaForCausalLM"],
  qwen3: ["qwen3", "Qwen3ForCausalLM"]
}

/** The names of a layer's tensors. */
const layerTensors: { readonly [name: string]: string } = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm"
}

const otherTensors: { readonly [name: string]: string } = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight"
}

/** The name of a weight in the file. */
const tensorName = (weight: string): string => {
  const [, layer, name] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(weight) ?? []
  return layer === undefined ? otherTensors[weight]! : `blk.${layer}.${layerTensors[name!]!}.weight`
}

/** A number that the file has in single precision, as it was written before. */
const decimal = (value: unknown): unknown => (typeof value === "number" ? Number(value.toPrecision(7)) : value)

/** The metadata in the form of a `config.json`. */
const toConfigJson = ({ metadata, tensors }: Gguf.Header): object => {
  const name = String(metadata["general.architecture"])
  const [model_type, kind] = architectures[name] ?? [name, name]
  const value = (key: string) => metadata[`${name}.${key}`]
  const tokens = metadata["tokenizer.ggml.tokens"]
  const scaling = value("rope.scaling.type")
  return {
    model_type,
    architectures: [kind],
    hidden_size: value("embedding_length"),
    intermediate_size: value("feed_forward_length"),
    num_hidden_layers: value("block_count"),
    num_attention_heads: value("attention.head_count"),
    num_key_value_heads: value("attention.head_count_kv"),
    head_dim: value("attention.key_length"),
    max_position_embeddings: value("context_length"),
    rms_norm_eps: decimal(value("attention.layer_norm_rms_epsilon")),
    vocab_size: value("vocab_size") ?? (Array.isArray(tokens) ? tokens.length : undefined),
    sliding_window: value("attention.sliding_window"),
    tie_word_embeddings: !tensors.some((tensor) => tensor.name === "output.weight"),
    rope_theta: decimal(value("rope.freq_base")),
    rope_scaling:
      scaling === undefined || scaling === "none" ? null : { rope_type: scaling, factor: value("rope.scaling.factor") }
  }
}

/** Why a tensor cannot be read, or `undefined`. */
const tensorProblem = (
  info: TensorInfo | undefined,
  name: string,
  shape: ReadonlyArray<number>,
  fileBytes: number
): string | undefined => {
  if (info === undefined) return `has no tensor ${name}`
  if (!isEqual(info.shape, shape)) {
    return `has ${name} in the shape [${info.shape.join(", ")}], but its metadata asks for [${shape.join(", ")}]`
  }
  const format = formats.get(info.type)
  if (format === undefined) {
    const known = Array.from(formats.values(), ({ name }) => name)
    return `has ${name} in the format ${info.type}: supported are ${known.join(", ")}`
  }
  const bytes = bytesOf(format, sizeOf(shape))
  if (bytes === undefined) return `has ${name} in the format ${format.name}, which its size does not fit`
  return info.offset + bytes <= fileBytes ? undefined : `ends before the tensor ${name}: the file is incomplete`
}

/** At most so many problems of tensors are named, as all layers have the same. */
const mostProblems = 5

/** Every reason why the tensors are not those of the configuration. */
const tensorProblems = (header: Gguf.Header, model: ModelConfig): ReadonlyArray<string> => {
  const byName = new Map(header.tensors.map((info) => [info.name, info]))
  const problems = architecture.expectedWeights(model).flatMap(([weight, shape]) => {
    const name = tensorName(weight)
    return tensorProblem(byName.get(name), name, shape, header.bytes) ?? []
  })
  const known = new Set(architecture.expectedWeights(model).map(([weight]) => tensorName(weight)))
  const others = header.tensors.filter(({ name }) => !known.has(name)).map(({ name }) => name)
  const unknown =
    others.length === 0 ? [] : [`has tensors that would not be used: ${others.slice(0, mostProblems).join(", ")}`]
  const rest = problems.length > mostProblems ? [`and ${problems.length - mostProblems} more problems of tensors`] : []
  return [...unknown, ...problems.slice(0, mostProblems), ...rest]
}

/** The configuration. On the left is every reason why the engine cannot run the model. @internal */
export const parse = (header: Gguf.Header): Either.Either<ModelConfig, string> =>
  Either.flatMap(config.parse(toConfigJson(header)), (model) => {
    const problems = tensorProblems(header, model)
    return problems.length === 0 ? Either.right(model) : Either.left(problems.join("; "))
  })

/** The tokens that end a text. @internal */
export const eosTokenIds = ({ metadata }: Gguf.Header): ReadonlyArray<number> => {
  const ids = ["eos", "eot", "eom"].map((name) => metadata[`tokenizer.ggml.${name}_token_id`])
  return [...new Set(ids.filter((id): id is number => typeof id === "number"))]
}

/** Files of Llama models have the rows of each head in pairs, as their rotary embedding reads them; here they are in halves. */
const inHalves = (values: Float32Array, heads: number, columns: number): Float32Array => {
  const out = new Float32Array(values.length)
  const half = values.length / columns / heads / 2
  for (let row = 0; row < values.length / columns; row++) {
    const [head, within] = [Math.floor(row / (2 * half)), row % (2 * half)]
    const target = head * 2 * half + (within % 2) * half + Math.floor(within / 2)
    out.set(values.subarray(row * columns, (row + 1) * columns), target * columns)
  }
  return out
}

const headsOf = (weight: string, model: ModelConfig): number | undefined => {
  if (model.model_type !== "llama") return undefined
  if (weight.endsWith("q_proj.weight")) return model.num_heads
  return weight.endsWith("k_proj.weight") ? model.num_kv_heads : undefined
}

const readBytes = (file: FileSystem.File, offset: number, bytes: number) =>
  Effect.gen(function* () {
    yield* file.seek(FileSystem.Size(offset), "start")
    const out = new Uint8Array(bytes)
    for (let done = 0; done < bytes;) {
      const part = yield* file.readAlloc(FileSystem.Size(bytes - done))
      if (Option.isNone(part)) break
      out.set(part.value, done)
      done += part.value.length
    }
    return out
  })

/** Reads the weights, converted to float32. The header was parsed before. @internal */
export const readWeights = (path: string, header: Gguf.Header, model: ModelConfig) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path)
    const byName = new Map(header.tensors.map((info) => [info.name, info]))
    const weights: Record<string, SafeTensors.Tensor> = {}
    for (const [weight, shape] of architecture.expectedWeights(model)) {
      const info = byName.get(tensorName(weight))!
      const format = formats.get(info.type)!
      const bytes = yield* readBytes(file, info.offset, bytesOf(format, sizeOf(shape))!)
      const values = dequantize(format, bytes, sizeOf(shape))
      const heads = headsOf(weight, model)
      weights[weight] = { shape, data: heads === undefined ? values : inHalves(values, heads, shape[1]!) }
    }
    return weights
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) => ({ path, reason: "cannot be read", cause }))
  )
