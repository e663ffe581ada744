"""Writes test/fixtures/gguf: blocks of each format with their values by the gguf package, and tiny-llama as a GGUF file.

python3 -m venv venv && venv/bin/pip install gguf ml_dtypes safetensors && venv/bin/python make_gguf_fixtures.py
"""

import base64
import json
from pathlib import Path

import gguf
import ml_dtypes  # noqa: F401  (numpy then knows bfloat16)
import numpy as np
from safetensors.numpy import load_file

root = Path(__file__).parent.parent / "test" / "fixtures"
out = root / "gguf"
out.mkdir(exist_ok=True)

types = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# where the half-precision scales of a block are
scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
random = np.random.default_rng(0)
blocks = {}
for name in types:
    kind = gguf.GGMLQuantizationType[name]
    size, width = gguf.GGML_QUANT_SIZES[kind]
    count = 2 if size > 1 else 64
    if name == "F32":
        data = random.standard_normal(count).astype(np.float32).view(np.uint8)
    elif name == "F16":
        data = np.concatenate([random.standard_normal(count - 4), [1e-7, -3e-6, 65504, 0]]).astype(np.float16).view(np.uint8)
    elif name == "BF16":
        data = (random.standard_normal(count).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    else:
        data = random.integers(0, 256, (count, width), dtype=np.uint8)
        for at in scales[name]:
            data[:, at : at + 2] = random.uniform(-2, 2, count).astype(np.float16).view(np.uint8).reshape(count, 2)
        data = data.reshape(-1)
    values = gguf.quants.dequantize(data, kind).astype(np.float32).reshape(-1)
    blocks[name] = {
        "type": int(kind),
        "data": base64.b64encode(data.tobytes()).decode(),
        "values": base64.b64encode(values.tobytes()).decode(),
    }
(out / "blocks.json").write_text(json.dumps(blocks, indent=1) + "\n")

source = root / "tiny-llama"
config = json.loads((source / "config.json").read_text())
tensors = {}
for file in sorted(source.glob("*.safetensors")):
    tensors.update(load_file(file))
heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
writer = gguf.GGUFWriter(out / "tiny-llama.gguf", "llama")
writer.add_embedding_length(config["hidden_size"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_block_count(config["num_hidden_layers"])
writer.add_head_count(heads)
writer.add_head_count_kv(kv)
writer.add_key_length(config.get("head_dim", config["hidden_size"] // heads))
writer.add_context_length(config["max_position_embeddings"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_vocab_size(config["vocab_size"])
writer.add_rope_freq_base(config.get("rope_theta", config.get("rope_parameters", {}).get("rope_theta", 10000.0)))
tokenizer = json.loads((source / "tokenizer.json").read_text())
vocab = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
tokens = [None] * config["vocab_size"]
for text, index in vocab:
    tokens[index] = text
for index, text in added.items():
    tokens[index] = text
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-2")
writer.add_token_list(tokens)
writer.add_token_types([3 if i in added else 1 for i in range(len(tokens))])
merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
if merges:
    writer.add_token_merges(merges)
writer.add_eos_token_id(2)
writer.add_chat_template((source / "chat_template.jinja").read_text())
names = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def in_pairs(weight, count):
    """As llama.cpp's converter stores q and k of Llama."""
    return weight.reshape(count, 2, weight.shape[0] // count // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


for name, weight in tensors.items():
    weight = weight.astype(np.float32)
    if name == "model.embed_tokens.weight":
        target = "token_embd.weight"
    elif name == "model.norm.weight":
        target = "output_norm.weight"
    elif name == "lm_head.weight":
        target = "output.weight"
    else:
        _, _, layer, rest = name.split(".", 3)
        part = rest.removesuffix(".weight")
        target = f"blk.{layer}.{names[part]}.weight"
        if part == "self_attn.q_proj":
            weight = in_pairs(weight, heads)
        if part == "self_attn.k_proj":
            weight = in_pairs(weight, kv)
    writer.add_tensor(target, np.ascontiguousarray(weight))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
print({name: len(block["values"]) for name, block in blocks.items()}, (out / "tiny-llama.gguf").stat().st_size)
