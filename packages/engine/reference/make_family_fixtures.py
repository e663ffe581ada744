"""Writes test/fixtures/families: a tiny random model of each family, with what transformers and PEFT compute of it.

    python3 -m venv venv && venv/bin/pip install torch transformers peft safetensors && venv/bin/python make_family_fixtures.py

For each family a directory with config.json and model.safetensors (bfloat16; the reference widens it to float32), and a
file NAME.json in the form of tiny-qwen3.json (see make_fixtures.py), with one case, and besides

    prompt, prompt_logprobs   200 tokens, and the logprob of each but the first
    greedy                    the 24 most likely tokens behind the first 20 of the prompt

A variant is another config.json for the same weights, with the logprobs of the prompt; "gguf" is what a GGUF file can state.
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

out = Path(__file__).parent.parent / "test" / "fixtures" / "families"
sizes = dict(
    vocab_size=96, hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, bos_token_id=0, eos_token_id=95, pad_token_id=0,
)  # fmt: skip
short = [1.0, 1.1, 1.5, 2.0]
families = {
    "mistral": (transformers.MistralForCausalLM, dict(sliding_window=12, head_dim=8, rope_theta=1e4), {
        "full": dict(sliding_window=None),
        "dynamic": dict(sliding_window=None, rope_scaling=dict(rope_type="dynamic", factor=4.0)),
    }),
    "qwen2": (transformers.Qwen2ForCausalLM, dict(tie_word_embeddings=True, rope_theta=1e6), {
        "window": dict(use_sliding_window=True, sliding_window=16, max_window_layers=1),
        "yarn": dict(rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)),
    }),
    "smollm3": (transformers.SmolLM3ForCausalLM, dict(num_hidden_layers=4, no_rope_layers=[1, 0, 1, 0], rope_theta=5e4), {
        "gguf": dict(no_rope_layers=None),
    }),
    "phi3": (transformers.Phi3ForCausalLM, dict(sliding_window=20, num_key_value_heads=1, rope_theta=1e4), {
        "longrope": dict(
            sliding_window=None, max_position_embeddings=1024, original_max_position_embeddings=256,
            rope_scaling=dict(rope_type="longrope", short_factor=short, long_factor=[4.0] * 4),
        ),
    }),
    "gemma3": (transformers.Gemma3ForCausalLM, dict(
        model_type="gemma3_text", sliding_window=9, head_dim=16, query_pre_attn_scalar=24, num_key_value_heads=1,
        hidden_activation="gelu_pytorch_tanh", tie_word_embeddings=True, sliding_window_pattern=2, rope_theta=1e6,
        rope_local_base_freq=1e4, rope_scaling=dict(rope_type="linear", factor=8.0),
    ), {"gguf": dict(sliding_window_pattern=6, query_pre_attn_scalar=16)}),
}  # fmt: skip


def tensor(x):
    a = np.ascontiguousarray(x.detach().numpy(), dtype="<f4")
    return {"shape": list(a.shape), "f32": base64.b64encode(a.tobytes()).decode()}


def number(x):
    return float(f"{float(x):.9g}")


def build(kind, config):
    parsed = kind.config_class(**json.loads(json.dumps(config)))
    parsed._attn_implementation = "eager"
    return kind(parsed).float().eval()


def logprobs(model, tokens):
    with torch.no_grad():
        scores = model(torch.tensor([tokens]), use_cache=False).logits[0].log_softmax(-1)
    return scores[:-1].gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]


for index, (name, (kind, own, variants)) in enumerate(families.items()):
    torch.manual_seed(index)
    directory = out / name
    directory.mkdir(parents=True, exist_ok=True)
    config = {"model_type": name, "architectures": [kind.__name__], **sizes, **own}
    model = build(kind, config)
    with torch.no_grad():
        for key, value in model.named_parameters():
            spread = 0.3 if value.ndim == 1 else 0.2 if "embed" in key else value.shape[1] ** -0.5
            center = 1 if "norm" in key and name != "gemma3" else 0
            value.copy_((center + spread * torch.randn_like(value)).bfloat16().float())
    state = {key: value.bfloat16() for key, value in model.state_dict().items()}
    if config.get("tie_word_embeddings"):
        del state["lm_head.weight"]
    save_file(state, directory / "model.safetensors", {"format": "pt"})
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    draw = np.random.default_rng(index)
    prompt = draw.integers(0, sizes["vocab_size"], 200).tolist()
    tokens = prompt[:32]
    with torch.no_grad():
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0]
        greedy = prompt[:20]
        for _ in range(24):
            greedy.append(int(model(torch.tensor([greedy]), use_cache=False).logits[0, -1].argmax()))
    result = {
        "model": name, "tokens": tokens, "logits": tensor(logits), "prompt": prompt,
        "prompt_logprobs": tensor(logprobs(model, prompt)), "greedy": greedy[20:], "variants": {},
    }  # fmt: skip
    for variant, change in variants.items():
        changed = build(kind, {**config, **change})
        changed.load_state_dict(model.state_dict())
        result["variants"][variant] = {"config": change, "prompt_logprobs": tensor(logprobs(changed, prompt))}

    rank = 2
    fused = name == "phi3"
    layers = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"] if fused else "q k v o gate up down".split()
    targets = [layer if fused else f"{layer}_proj" for layer in layers] + ["lm_head"]
    adapted = get_peft_model(model, LoraConfig(r=rank, lora_alpha=32, target_modules=targets, lora_dropout=0.0))
    with torch.no_grad():
        for key, value in adapted.named_parameters():
            if "lora_" in key:
                value.copy_((0.02 if "lora_B" in key else value.shape[1] ** -0.5) * torch.randn_like(value))
    saved = [key for key in get_peft_model_state_dict(adapted, save_embedding_layers=False) if ".lora_" in key]
    names = {key.removeprefix("base_model.model.").split(".lora_")[0] for key in saved}
    parameters = {key.replace(".default", ""): value for key, value in adapted.named_parameters()}

    def collect(of):
        part = lambda module, matrix: tensor(of(parameters[f"base_model.model.{module}.lora_{matrix}.weight"]))
        return {module: {matrix: part(module, matrix) for matrix in "AB"} for module in sorted(names)}

    data, loss, scores = [], 0.0, []
    for length in (24, 9, 30):
        text = draw.integers(0, sizes["vocab_size"], length + 1).tolist()
        weights = (np.round(draw.uniform(0, 1, length) * 64) / 64).tolist()
        data.append({"tokens": text[:-1], "target_tokens": text[1:], "weights": weights})
        logits = adapted(torch.tensor([text[:-1]]), use_cache=False).logits[0]
        own_scores = logits.log_softmax(-1).gather(1, torch.tensor(text[1:])[:, None])[:, 0]
        scores.append(tensor(own_scores))
        loss = loss - (own_scores * torch.tensor(weights)).sum()
    with torch.no_grad():
        result["logits_lora"] = tensor(adapted(torch.tensor([tokens]), use_cache=False).logits[0])
    loss.backward()
    switches = {"train_attn": True, "train_mlp": True, "train_unembed": True}
    result |= {"rank": rank, "lora": collect(lambda x: x), "data": {"supervised": data}, "adamw": []}
    result["cases"] = [{
        "name": "cross_entropy", "loss_fn": "cross_entropy", "config": {}, "data": "supervised", "zero_b": False,
        "switches": switches, "loss": number(loss), "logprobs": scores, "grads": collect(lambda x: x.grad),
    }]  # fmt: skip
    text = json.dumps(result, separators=(",", ":")) + "\n"
    (out / f"{name}.json").write_text(text)
    print(name, number(loss), greedy[20:26], (directory / "model.safetensors").stat().st_size, len(text))
