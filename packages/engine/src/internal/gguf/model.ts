/** A model in a GGUF file: its configuration and its weights, by the names of Hugging Face. */
import type * as SafeTensors from "@effect-tinker/server/SafeTensors"
import type * as Gguf from "@effect-tinker/tokenizers/Gguf"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ModelConfig } from "../../ModelConfig.ts"
import * as architecture from "../model/architecture.ts"
import * as config from "../model/config.ts"
import type { QuantizedMatrix } from "../onnx/quantized.ts"
import { isEqual, sizeOf } from "../util/shape.ts"
import { bytesOf, dequantize, formats } from "./dequantize.ts"
import { toMatrix } from "./quantized.ts"

type TensorInfo = Gguf.Header["tensors"][number]

/** What an architecture of GGUF is in the form of Hugging Face. */
interface Architecture {
  readonly model_type: string
  readonly kind: string
  /** whether rows of q and k lie in pairs, as the rotary embedding of llama.cpp reads them, and not in halves */
  readonly isPaired?: boolean
}

const architectures: { readonly [name: string]: Architecture } = {
  llama: { model_type: "llama", kind: "LlamaForCausalLM", isPaired: true },
  qwen2: { model_type: "qwen2", kind: "Qwen2ForCausalLM" },
  qwen3: { model_type: "qwen3", kind: "Qwen3ForCausalLM" },
  smollm3: { model_type: "smollm3", kind: "SmolLM3ForCausalLM", isPaired: true },
  phi3: { model_type: "phi3", kind: "Phi3ForCausalLM" },
  gemma3: { model_type: "gemma3_text", kind: "Gemma3ForCausalLM" }
}

/** The name of a model's architecture. Llama.cpp takes Mistral for a Llama. @internal */
export const architectureOf = ({ model_type }: ModelConfig): string => (model_type === "mistral" ? "llama" : model_type)

/** The names of a layer's tensors. */
const layerTensors: { readonly [name: string]: string } = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.qkv_proj": "attn_qkv",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.gate_up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm"
}

const otherTensors: { readonly [name: string]: string } = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight"
}

/** The name of a weight in the file. @internal */
export const tensorName = (weight: string, model: ModelConfig): string => {
  const [, layer, name, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(weight) ?? []
  if (layer === undefined) return otherTensors[weight]!
  const isPostNorm = model.post_norms && name === "post_attention_layernorm"
  return `blk.${layer}.${isPostNorm ? "post_attention_norm" : layerTensors[name!]!}.${kind}`
}

/** The tensors with a factor for each pair of a head's values, by which frequencies of the rotary embedding are divided. */
const factorTensors = ["rope_freqs.weight", "rope_factors_short.weight"]

/** Tensors that are known, but are no weights. */
const otherKnown = [...factorTensors, "rope_factors_long.weight"]

/** A number that the file has in single precision, as it was written before. */
const decimal = (value: unknown): unknown => (typeof value === "number" ? Number(value.toPrecision(7)) : value)

/** The scaling of the rotary embedding, in the form of a `config.json`. */
const ropeScaling = (
  value: (key: string) => unknown,
  factors: ReadonlyArray<number> | undefined,
  context: unknown
): object | null => {
  const type = value("rope.scaling.type") ?? "none"
  const attention = value("rope.scaling.attn_factor")
  const original = value("rope.scaling.original_context_length")
  if (factors !== undefined) {
    return {
      rope_type: "longrope",
      short_factor: factors,
      // the file states it where a longer context changes attention
      attention_factor: attention ?? 1,
      original_max_position_embeddings: original ?? context
    }
  }
  if (type === "none") return null
  const factor = value("rope.scaling.factor")
  return {
    rope_type: type,
    factor,
    ...(type === "yarn" && {
      original_max_position_embeddings: original,
      beta_fast: value("rope.scaling.yarn_beta_fast"),
      beta_slow: value("rope.scaling.yarn_beta_slow"),
      ...(typeof attention === "number" && { attention_factor: attention * (1 + 0.1 * Math.log(Number(factor))) })
    })
  }
}

/** What files of Gemma 3 leave to the program that reads them. */
const gemma3 = (value: (key: string) => unknown): object => {
  const [layers, size, heads] = ["block_count", "embedding_length", "attention.head_count"].map((key) =>
    Number(value(key))
  )
  return {
    // the largest model, of 62 layers, has a scale of its own
    query_pre_attn_scalar: layers === 62 ? size! / heads! : value("attention.key_length"),
    sliding_window_pattern: value("attention.sliding_window_pattern"),
    rope_local_base_freq: decimal(value("rope.freq_base_swa")) ?? 1e4,
    final_logit_softcapping: value("final_logit_softcapping"),
    attn_logit_softcapping: value("attn_logit_softcapping")
  }
}

/** The metadata in the form of a `config.json`. @internal */
export const toConfigJson = (
  { metadata, tensors }: Gguf.Header,
  factors: ReadonlyArray<number> | undefined
): object => {
  const name = String(metadata["general.architecture"])
  const { kind, model_type } = architectures[name] ?? { model_type: name, kind: name }
  const value = (key: string) => metadata[`${name}.${key}`]
  const tokens = metadata["tokenizer.ggml.tokens"]
  const width = value("attention.key_length")
  const head = Number(width ?? Number(value("embedding_length")) / Number(value("attention.head_count")))
  const turned = value("rope.dimension_count")
  const context = value("context_length")
  return {
    model_type,
    architectures: [kind],
    hidden_size: value("embedding_length"),
    intermediate_size: value("feed_forward_length"),
    num_hidden_layers: value("block_count"),
    num_attention_heads: value("attention.head_count"),
    num_key_value_heads: value("attention.head_count_kv"),
    // a head has the size of the model by its number of heads, where the file does not say
    ...(width === undefined ? {} : { head_dim: width }),
    max_position_embeddings: context,
    rms_norm_eps: decimal(value("attention.layer_norm_rms_epsilon")),
    vocab_size: value("vocab_size") ?? (Array.isArray(tokens) ? tokens.length : undefined),
    sliding_window: value("attention.sliding_window") ?? null,
    tie_word_embeddings: !tensors.some((tensor) => tensor.name === "output.weight"),
    rope_theta: decimal(value("rope.freq_base")),
    ...(typeof turned === "number" && { partial_rotary_factor: turned / head }),
    rope_scaling: ropeScaling(value, factors, context),
    ...(name === "gemma3" && gemma3(value))
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
    const name = tensorName(weight, model)
    return tensorProblem(byName.get(name), name, shape, header.bytes) ?? []
  })
  const weights = architecture.expectedWeights(model).map(([weight]) => tensorName(weight, model))
  const known = new Set([...weights, ...otherKnown])
  const others = header.tensors.filter(({ name }) => !known.has(name)).map(({ name }) => name)
  const unknown =
    others.length === 0 ? [] : [`has tensors that would not be used: ${others.slice(0, mostProblems).join(", ")}`]
  const rest = problems.length > mostProblems ? [`and ${problems.length - mostProblems} more problems of tensors`] : []
  return [...unknown, ...problems.slice(0, mostProblems), ...rest]
}

/**
 * The configuration, with the factors of the rotary embedding that the file has. On the left is every reason why the
 * engine cannot run the model.
 *
 * @internal
 */
export const parse = (
  header: Gguf.Header,
  factors: ReadonlyArray<number> | undefined
): Either.Either<ModelConfig, string> =>
  Either.flatMap(config.parse(toConfigJson(header, factors)), (model) => {
    const problems = tensorProblems(header, model)
    return problems.length === 0 ? Either.right(model) : Either.left(problems.join("; "))
  })

/** The tokens that end a text. @internal */
export const eosTokenIds = ({ metadata }: Gguf.Header): ReadonlyArray<number> => {
  const ids = ["eos", "eot", "eom"].map((name) => metadata[`tokenizer.ggml.${name}_token_id`])
  return [...new Set(ids.filter((id): id is number => typeof id === "number"))]
}

/**
 * Where the file has a row of a matrix of several heads: files of Llama models have the rows of each head in pairs, as
 * their rotary embedding reads them; here they are in halves.
 *
 * @internal
 */
export const sourceOfRow = (heads: number | undefined, rows: number): ((row: number) => number) => {
  if (heads === undefined) return (row) => row
  const size = rows / heads
  return (row) => {
    const within = row % size
    return row - within + 2 * (within % (size / 2)) + Math.floor(within / (size / 2))
  }
}

/** The rows of a matrix in another order. @internal */
export const reorder = (values: Float32Array, columns: number, sourceOf: (row: number) => number): Float32Array => {
  const out = new Float32Array(values.length)
  for (let row = 0; row < values.length / columns; row++) {
    const from = sourceOf(row) * columns
    out.set(values.subarray(from, from + columns), row * columns)
  }
  return out
}

/** The heads whose rows lie in pairs in the file, if those of the weight do. @internal */
export const headsOf = (weight: string, model: ModelConfig): number | undefined => {
  const { isPaired } = architectures[architectureOf(model)]!
  if (isPaired !== true) return undefined
  if (weight.endsWith("q_proj.weight")) return model.num_heads
  return weight.endsWith("k_proj.weight") ? model.num_kv_heads : undefined
}

/** Reads bytes of a file into `out`. Those behind its end are zeros. */
const readInto = (file: FileSystem.File, offset: number, out: Uint8Array) =>
  Effect.gen(function* () {
    yield* file.seek(FileSystem.Size(offset), "start")
    for (let done = 0; done < out.length;) {
      const count = Number(yield* file.read(out.subarray(done)))
      if (count === 0) {
        out.fill(0, done)
        break
      }
      done += count
    }
    return out
  })

/** Reads bytes of a file. Those behind its end are zeros. @internal */
export const readBytes = (file: FileSystem.File, offset: number, bytes: number) =>
  readInto(file, offset, new Uint8Array(bytes))

/** Reads the bytes of tensors one after the other, each into the memory of the one before. */
const makeReader = (file: FileSystem.File) => {
  let memory = new Uint8Array(0)
  return (offset: number, bytes: number) => {
    if (bytes > memory.length) memory = new Uint8Array(bytes)
    return readInto(file, offset, memory.subarray(0, bytes))
  }
}

/** Reads the matrices that the file has in few bits, as they are. The header was parsed before. @internal */
export const readQuantized = (path: string, header: Gguf.Header, model: ModelConfig) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path)
    const byName = new Map(header.tensors.map((info) => [info.name, info]))
    const read = makeReader(file)
    const matrices: Record<string, QuantizedMatrix> = {}
    for (const [weight, shape] of architecture.expectedWeights(model)) {
      const { offset, type } = byName.get(tensorName(weight, model))!
      const bytes = yield* read(offset, bytesOf(formats.get(type)!, sizeOf(shape))!)
      const matrix = toMatrix(type, shape, bytes, sourceOfRow(headsOf(weight, model), shape[0]!))
      if (matrix !== undefined) matrices[weight] = matrix
    }
    return matrices
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) => ({ path, reason: "cannot be read", cause }))
  )

/** The longest list of factors: heads are at most four times as wide as those of any model. */
const mostFactors = 1024

/** Reads the factors of the rotary embedding, if the file has them. @internal */
export const readRopeFactors = (path: string, header: Gguf.Header) =>
  Effect.gen(function* () {
    const info = header.tensors.find(({ name }) => factorTensors.includes(name))
    if (info === undefined) return undefined
    const [count = 0] = info.shape
    const format = formats.get(info.type)
    if (info.shape.length !== 1 || count > mostFactors || format?.name !== "F32") {
      return yield* Effect.fail({ path, reason: `has ${info.name}, which is not a list of numbers in the format F32` })
    }
    const fs = yield* FileSystem.FileSystem
    const file = yield* Effect.mapError(fs.open(path), (cause) => ({ path, reason: "cannot be read", cause }))
    const bytes = yield* Effect.mapError(readBytes(file, info.offset, 4 * count), (cause) => ({
      path,
      reason: "cannot be read",
      cause
    }))
    return Array.from(dequantize(format, bytes, count))
  }).pipe(Effect.scoped)

/** Reads the weights, converted to float32. The header was parsed before. @internal */
export const readWeights = (path: string, header: Gguf.Header, model: ModelConfig) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path)
    const byName = new Map(header.tensors.map((info) => [info.name, info]))
    const read = makeReader(file)
    const weights: Record<string, SafeTensors.Tensor> = {}
    for (const [weight, shape] of architecture.expectedWeights(model)) {
      const info = byName.get(tensorName(weight, model))!
      const format = formats.get(info.type)!
      const bytes = yield* read(info.offset, bytesOf(format, sizeOf(shape))!)
      const values = dequantize(format, bytes, sizeOf(shape))
      const heads = headsOf(weight, model)
      const data = heads === undefined ? values : reorder(values, shape[1]!, sourceOfRow(heads, shape[0]!))
      weights[weight] = { shape, data }
    }
    return weights
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) => ({ path, reason: "cannot be read", cause }))
  )
