"""Writes test/fixtures/gguf: blocks of each format with their values, and values with their bytes, by the gguf package;
tiny-llama as a GGUF file, and models of test/fixtures/families as GGUF files of their architectures, with the tokens of
tiny-llama.

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
tokenizer = json.loads((source / "tokenizer.json").read_text())


def in_pairs(weight, count):
    """As llama.cpp's converter stores q and k of Llama."""
    return weight.reshape(count, 2, weight.shape[0] // count // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def load(directory):
    config = json.loads((directory / "config.json").read_text())
    tensors = {}
    for file in sorted(directory.glob("*.safetensors")):
        tensors.update(load_file(file))
    return config, {name: weight.astype(np.float32) for name, weight in tensors.items()}


def start(path, architecture, config):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config.get("head_dim", config["hidden_size"] // config["num_attention_heads"]))
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-5 if architecture == "phi3" else 1e-6))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_rope_freq_base(config.get("rope_theta", config.get("rope_parameters", {}).get("rope_theta", 10000.0)))
    return writer


def add_tokenizer(writer, count):
    tokens = [None] * len(tokenizer["model"]["vocab"])
    added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    tokens += [None] * (max([*added, len(tokens) - 1]) + 1 - len(tokens))
    for text, index in [*tokenizer["model"]["vocab"].items(), *((text, index) for index, text in added.items())]:
        tokens[index] = text
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens[:count])
    writer.add_token_types([3 if i in added else 1 for i in range(count)])
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    if merges:
        writer.add_token_merges(merges)
    writer.add_eos_token_id(2)
    writer.add_chat_template((source / "chat_template.jinja").read_text())


names = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.qkv_proj": "attn_qkv", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
gemma = {
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}  # fmt: skip


def add_tensors(writer, config, tensors, paired, as_bfloat16):
    is_gemma = config["model_type"].startswith("gemma3")
    own = {**names, **(gemma if is_gemma else {})}
    for name, weight in tensors.items():
        if is_gemma and "norm" in name:
            weight = weight + 1
        if name == "model.embed_tokens.weight":
            target = "token_embd.weight"
        elif name == "model.norm.weight":
            target = "output_norm.weight"
        elif name == "lm_head.weight":
            target = "output.weight"
        else:
            _, _, layer, rest = name.split(".", 3)
            part, kind = rest.rsplit(".", 1)
            target = f"blk.{layer}.{own[part]}.{kind}"
            if paired and part == "self_attn.q_proj":
                weight = in_pairs(weight, config["num_attention_heads"])
            if paired and part == "self_attn.k_proj":
                weight = in_pairs(weight, config["num_key_value_heads"])
        if as_bfloat16 and weight.ndim == 2:
            kind = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(target, gguf.quants.quantize(np.ascontiguousarray(weight), kind), raw_dtype=kind)
        else:
            writer.add_tensor(target, np.ascontiguousarray(weight, np.float32))


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


config, tensors = load(source)
writer = start(out / "tiny-llama.gguf", "llama", config)
add_tokenizer(writer, config["vocab_size"])
add_tensors(writer, config, tensors, True, False)
finish(writer)

# the files of families; Mistral as the Llama that its converter makes of it, with the factors of Llama 3 besides
for name, architecture in (("qwen2", "qwen2"), ("smollm3", "smollm3"), ("phi3", "phi3"), ("gemma3", "gemma3"), ("mistral", "llama")):
    config, tensors = load(root / "families" / name)
    if name == "phi3":
        config |= json.loads((root / "families" / "phi3.json").read_text())["variants"]["longrope"]["config"]
    writer = start(out / f"{name}.gguf", architecture, config)
    if name == "phi3":
        original, factors = config["original_max_position_embeddings"], config["rope_scaling"]
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors(np.sqrt(1 + np.log(config["max_position_embeddings"] / original) / np.log(original)))
        writer.add_tensor("rope_factors_short.weight", np.array(factors["short_factor"], np.float32))
        writer.add_tensor("rope_factors_long.weight", np.array(factors["long_factor"], np.float32))
    if name == "gemma3":
        writer.add_sliding_window(config["sliding_window"])
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config["rope_scaling"]["factor"])
    if name == "mistral":
        frequencies = config["rope_theta"] ** -(np.arange(0, config["head_dim"], 2) / config["head_dim"])
        # factor 8, low 1, high 4, original context 512
        ramp = np.clip((512 * frequencies / (2 * np.pi) - 1) / 3, 0, 1)
        writer.add_tensor("rope_freqs.weight", (1 / (ramp + (1 - ramp) / 8)).astype(np.float32))
    add_tokenizer(writer, config["vocab_size"])
    add_tensors(writer, config, tensors, architecture in ("llama", "smollm3"), True)
    finish(writer)
    print(name, (out / f"{name}.gguf").stat().st_size)
# a Llama with its matrices in few bits, in all formats of blocks of 32
config = dict(
    model_type="llama", hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, vocab_size=96,
)  # fmt: skip
writer = start(out / "few-bits.gguf", "llama", config)
add_tokenizer(writer, config["vocab_size"])
layer_types = {
    "attn_q": "Q8_0", "attn_k": "Q4_0", "attn_v": "Q4_1", "attn_output": "Q5_0", "ffn_gate": "Q4_1", "ffn_up": "Q5_1", "ffn_down": "Q8_0",
}  # fmt: skip
layer_shapes = {
    "attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64), "ffn_gate": (96, 64), "ffn_up": (96, 64),
    "ffn_down": (64, 96),
}  # fmt: skip


def add_random(name, shape, kind, spread):
    kind = gguf.GGMLQuantizationType[kind]
    values = (random.standard_normal(shape) * spread).astype(np.float32)
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


add_random("token_embd.weight", (96, 64), "Q8_0", 0.3)
for layer in range(2):
    for name, shape in layer_shapes.items():
        add_random(f"blk.{layer}.{name}.weight", shape, layer_types[name], shape[1] ** -0.5)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.{layer}.{name}.weight", (1 + 0.2 * random.standard_normal(64)).astype(np.float32))
writer.add_tensor("output_norm.weight", (1 + 0.2 * random.standard_normal(64)).astype(np.float32))
finish(writer)

print({name: len(block["values"]) for name, block in blocks.items()}, (out / "tiny-llama.gguf").stat().st_size)

# values as the package writes them: with ties, zeros, and halves that are rounded away from zero
values = np.concatenate(
    [
        random.standard_normal(32) * 3,
        np.arange(32) - 15.5,
        np.zeros(32),
        random.standard_normal(32) * 1e-6,
        np.tile([127, 0.5, -0.5, 1.5, -2.5, 65504, 1e-8, -6e-8], 4),
    ]
).astype(np.float32)
encoded = {"values": base64.b64encode(values.tobytes()).decode()}
for name in ("F16", "BF16", "Q8_0"):
    data = gguf.quants.quantize(values, gguf.GGMLQuantizationType[name])
    encoded[name] = base64.b64encode(np.ascontiguousarray(data).tobytes()).decode()
(out / "encoded.json").write_text(json.dumps(encoded, indent=1) + "\n")
