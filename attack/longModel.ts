/** A model with random weights and a long context, as a Hugging Face directory. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeDirectory } from "./service.ts"

const config = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_act: "silu",
  vocab_size: 256,
  hidden_size: 64,
  intermediate_size: 192,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 16_384,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: true
}

const shapes = (): ReadonlyArray<readonly [name: string, shape: ReadonlyArray<number>]> => {
  const { head_dim, hidden_size: hidden, intermediate_size: inner, vocab_size } = config
  const [query, keys] = [config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim]
  const layers = Array.from({ length: config.num_hidden_layers }, (_, i) =>
    (
      [
        ["input_layernorm", [hidden]],
        ["post_attention_layernorm", [hidden]],
        ["self_attn.q_norm", [head_dim]],
        ["self_attn.k_norm", [head_dim]],
        ["self_attn.q_proj", [query, hidden]],
        ["self_attn.k_proj", [keys, hidden]],
        ["self_attn.v_proj", [keys, hidden]],
        ["self_attn.o_proj", [hidden, query]],
        ["mlp.gate_proj", [inner, hidden]],
        ["mlp.up_proj", [inner, hidden]],
        ["mlp.down_proj", [hidden, inner]]
      ] as const
    ).map(([name, shape]) => [`model.layers.${i}.${name}.weight`, shape] as const)
  )
  return [["model.embed_tokens.weight", [vocab_size, hidden]], ["model.norm.weight", [hidden]], ...layers.flat()]
}

const encode = (): Uint8Array => {
  const header: Record<string, object> = {}
  const chunks: Array<Buffer> = []
  let offset = 0
  let state = 1
  for (const [name, shape] of shapes()) {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
      return shape.length === 1 ? 1 : (state / 2 ** 32) * (2 / Math.sqrt(shape[1]!))
    })
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
    chunks.push(Buffer.from(data.buffer))
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([length, json, ...chunks])
}

/** Writes the model, and returns its directory. */
export const writeLongModel = (): string => {
  const directory = makeDirectory()
  writeFileSync(join(directory, "config.json"), JSON.stringify(config))
  writeFileSync(join(directory, "model.safetensors"), encode())
  return directory
}
