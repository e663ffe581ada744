"""Writes the numerical fixtures of the engine's tests: packages/engine/test/fixtures/.

    python make_fixtures.py --tiny /path/to/tiny-qwen3   # copies that directory the first time
    python make_fixtures.py                              # all of it, once the copy exists
    python make_fixtures.py --only nano                  # after the base model has changed

Directories

    tiny-qwen3/   a random Qwen3: untied head, q/k norms, one float32 file
    tiny-llama/   a random Llama, made here: tied head, grouped queries, no q/k norm, no head_dim
                  in its config.json, rope_theta at the top level, weights in two shards
                  (model.safetensors.index.json), the first bfloat16 and the second float16.
                  The reference widens both to float32 and computes in float32.

Files: tiny-qwen3.json, tiny-llama.json and nano.json.

    Tensor    {"shape": [..], "f32": "<base64 of the little-endian float32 values, row-major>"}
    Lora      {"<module>": {"A": Tensor (r, in), "B": Tensor (out, r)}}, with module names such as
              "model.layers.0.self_attn.q_proj" and "lm_head". alpha is always 32.
    Datum     {"tokens": [..], "target_tokens": [..] or [[..], ..], "weights" | "logprobs" |
              "advantages" | "sequence_ratio_mask" | "sampled_mask": numbers of the same shape}. Plain JSON numbers, exact in float32.
    numbers   losses and norms are JSON numbers, float32 values written with 9 digits

    tiny-*.json
      model         the name of the directory
      tokens        16 token ids;  logits: Tensor (16, vocabulary) of the bare model
      logits_lora   Tensor (16, vocabulary) with the adapter below
      rope_scaling  (tiny-llama) {"config": .., "logits": Tensor}: the same weights and tokens with
                    this `rope_scaling` put into config.json
      rank          of `lora`;  lora: Lora with random A and B, both nonzero
      data          {"<name>": [Datum, ..]}: three datums of different lengths each
      cases         [{name, loss_fn, config, data: <name in data>, zero_b, switches, loss,
                      logprobs: [Tensor per datum], grads: Lora}]
                    zero_b: the adapter is used with B = 0; switches: train_attn, train_mlp and
                    train_unembed (what is off has no adapter and no gradient).
                    loss is the sum over all tokens of all datums; grads are of that sum.
      adamw         [{name, adam: {learning_rate, beta1, beta2, eps, weight_decay,
                      grad_clip_norm}, data, loss_fn, rank, lora: Lora at the start,
                      steps: [{loss, grad_norm, lora: Lora after the step}]}]
                    every step computes the gradient afresh from `data` at the present weights;
                    loss is before the step and grad_norm before clipping.

    nano.json     the first 50 training steps on examples/data/past-tense.jsonl
      model_sha256  of model.safetensors; data_sha256 of past-tense.jsonl
      rank, batch, bucket, steps, adam
                    step k trains on lines batch*k .. batch*(k+1)-1 of the file, in order, padded
                    on the right with 0 to `bucket` tokens; input = text without its last token,
                    targets = text without its first; weight 0 where the target is in the prompt
                    and 1 on the completion (newline included); cross_entropy, constant rate.
      init          B = 0 and A from the formula below; probe: the first 4 values and the sum of
                    each A, to check an implementation of it
      losses        the summed loss of every step, float32;  losses_f64: the same run with all
                    arithmetic in float64. Their distance says how closely float32
                    implementations can be expected to agree.
      tokens        weights that are 1, per step (divide to get a loss per token)
      greedy        [{prompt, base, tuned}]: completions at temperature 0 before and after the 50
                    steps, up to and including the newline, of some held-out prompts

The formula (all integer arithmetic modulo 2^32; >> is unsigned):

    mix(h): h ^= h >> 16; h *= 0x85EBCA6B; h ^= h >> 13; h *= 0xC2B2AE35; h ^= h >> 16
    A[i, j] of the k-th module = float32((2 * mix(i * in + j + k * 0x9E3779B9) / 2^32 - 1) / sqrt(in))

where k counts the adapted modules in this order: for each layer q_proj, k_proj, v_proj, o_proj,
gate_proj, up_proj, down_proj; last lm_head. The expression is evaluated in float64.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from finetune import DATA, MODEL, greedy, to_datum
from make_base_model import write_tokenizer
from model import (
    AdamParams, ByteTokenizer, Config, Datum, Lora, adamw, batch_loss, forward, global_norm, init_adam, load_config,
    load_params, lora_targets, pad_batch, padded_cross_entropy, parse_config, target_logprobs, write_safetensors,
)  # fmt: skip

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "fixtures"


def number(x: Any) -> float:
    return float(f"{float(x):.9g}")


def tensor(x: Any) -> dict[str, Any]:
    a = np.asarray(x, dtype="<f4")
    return {"shape": list(a.shape), "f32": base64.b64encode(a.tobytes()).decode()}


def lora_json(lora: Lora) -> dict[str, Any]:
    return {name: {k: tensor(v) for k, v in sorted(ab.items())} for name, ab in lora.items()}


def write(name: str, value: Any) -> None:
    text = json.dumps(value, separators=(",", ":")) + "\n"
    (FIXTURES / name).write_text(text)
    print(name, len(text), "bytes")


# --------------------------------------------------------------------------------------
# A random Llama in two shards
# --------------------------------------------------------------------------------------

LLAMA_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 48,
    "initializer_range": 0.02,
    "intermediate_size": 80,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 6,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.48.0",
    "use_cache": True,
    "vocab_size": 259,
}
LLAMA3_ROPE = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 512,
    "rope_type": "llama3",
}


def make_tiny_llama(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(LLAMA_CONFIG, indent=2) + "\n")
    write_tokenizer(out)
    for name in ("tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
        shutil.copyfile(FIXTURES / "tiny-qwen3" / name, out / name)
        (out / name).chmod(0o644)
    cfg = parse_config(LLAMA_CONFIG)
    rng = np.random.default_rng(7)
    tensors = {"model.embed_tokens.weight": rng.normal(0, 0.2, (cfg.vocab_size, cfg.hidden_size))}
    for name, (o, i) in lora_targets(cfg, train_unembed=False).items():
        tensors[f"{name}.weight"] = rng.normal(0, 1.2 / math.sqrt(i), (o, i))
    norms = ["model.norm"]
    for layer in range(cfg.num_layers):
        norms += [f"model.layers.{layer}.{n}" for n in ("input_layernorm", "post_attention_layernorm")]
    for name in norms:
        tensors[f"{name}.weight"] = 1 + rng.normal(0, 0.2, cfg.hidden_size)
    names = sorted(tensors)
    half = [n for n in names if n.startswith(("model.embed", "model.layers.0", "model.layers.1.mlp"))]
    shards = {
        "model-00001-of-00002.safetensors": {n: tensors[n].astype(ml_dtypes.bfloat16) for n in half},
        "model-00002-of-00002.safetensors": {n: tensors[n].astype("<f2") for n in names if n not in half},
    }
    for file, part in shards.items():
        write_safetensors(out / file, part)
    index = {
        "metadata": {"total_size": sum(t.nbytes for p in shards.values() for t in p.values())},
        "weight_map": {n: f for n in names for f, p in shards.items() if n in p},
    }
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


# --------------------------------------------------------------------------------------
# The two tiny models
# --------------------------------------------------------------------------------------


def random_lora(cfg: Config, rank: int, seed: int) -> Lora:
    rng = np.random.default_rng(seed)
    return {
        name: {
            "A": jnp.asarray(rng.normal(0, 1 / math.sqrt(inn), (rank, inn)), jnp.float32),
            "B": jnp.asarray(rng.normal(0, 0.02, (out, rank)), jnp.float32),
        }
        for name, (out, inn) in lora_targets(cfg).items()
    }


def short(x: np.ndarray) -> np.ndarray:
    """Rounded to multiples of 1/1024: exact in float32 and short in JSON."""
    return np.round(np.asarray(x, np.float64) * 1024) / 1024


def make_data(params: Any, cfg: Config, lora: Lora, rng: np.random.Generator) -> dict[str, list[Datum]]:
    lengths = (16, 5, 9)
    tokens = [rng.integers(0, cfg.vocab_size, n + 1).tolist() for n in lengths]
    data: dict[str, list[Datum]] = {k: [] for k in ("supervised", "signed", "topk", "reinforced", "sequences", "sampled")}
    for t in tokens:
        n, x, y = len(t) - 1, t[:-1], t[1:]
        weights = rng.choice([0.0, 0.5, 1.0, 1.0, 2.0], n)
        weights[0] = 0.0
        data["supervised"].append(Datum(x, {"target_tokens": y, "weights": weights.tolist()}))
        data["signed"].append(Datum(x, {"target_tokens": y, "weights": short(rng.normal(0, 1, n)).tolist()}))
        data["topk"].append(
            Datum(
                x,
                {
                    "target_tokens": rng.integers(0, cfg.vocab_size, (n, 3)).tolist(),
                    "weights": short(rng.uniform(0, 1, (n, 3))).tolist(),
                },
            )
        )
        # Sampling log-probabilities around the model's own, so that ratios fall on both sides of
        # every clipping bound; the first position stands for a prompt and has advantage 0.
        lp = np.asarray(target_logprobs(forward(params, cfg, jnp.asarray([x]), lora)[0], jnp.asarray(y)))
        advantages = short(rng.normal(0, 1, n))
        advantages[0] = 0.0
        noise = rng.normal(0, 0.5, n)
        noise[1] = -1.75
        policy = {"target_tokens": y, "logprobs": short(lp + noise).tolist(), "advantages": advantages.tolist()}
        data["reinforced"].append(Datum(x, policy))
        # the first position stands for a prompt, and the second for a sampled token outside the ratio
        data["sequences"].append(Datum(x, {**policy, "sequence_ratio_mask": [0.0, 0.0] + [1.0] * (n - 2)}))
        data["sampled"].append(Datum(x, {**policy, "sampled_mask": [0.0] + [1.0] * (n - 1)}))
    return data


ALL = {"train_attn": True, "train_mlp": True, "train_unembed": True}
CASES: list[tuple[str, str, dict[str, float], str, bool, dict[str, bool]]] = [
    ("cross_entropy", "cross_entropy", {}, "supervised", False, ALL),
    ("cross_entropy fresh adapter", "cross_entropy", {}, "supervised", True, ALL),
    ("cross_entropy negative weights", "cross_entropy", {}, "signed", False, ALL),
    ("cross_entropy (N, K) targets", "cross_entropy", {}, "topk", False, ALL),
    ("importance_sampling", "importance_sampling", {}, "reinforced", False, ALL),
    ("ppo", "ppo", {}, "reinforced", False, ALL),
    ("ppo narrow", "ppo", {"clip_low_threshold": 0.9, "clip_high_threshold": 1.1}, "reinforced", False, ALL),
    ("cispo", "cispo", {}, "reinforced", False, ALL),
    ("cispo narrow", "cispo", {"clip_low_threshold": 0.5, "clip_high_threshold": 1.5}, "reinforced", False, ALL),
    ("dro", "dro", {"beta": 0.05}, "reinforced", False, ALL),
    ("attention only", "cross_entropy", {}, "supervised", False, {**ALL, "train_mlp": False, "train_unembed": False}),
    ("mlp only", "cross_entropy", {}, "supervised", False, {**ALL, "train_attn": False, "train_unembed": False}),
    ("unembed only", "cross_entropy", {}, "supervised", False, {**ALL, "train_attn": False, "train_mlp": False}),
]
# of tiny-qwen3 only, so that the files stay small
QWEN_CASES: list[tuple[str, str, dict[str, float], str, bool, dict[str, bool]]] = [
    ("gspo", "gspo", {}, "sequences", False, ALL),
    ("gspo wide", "gspo", {"clip_low_threshold": 0.5, "clip_high_threshold": 2.0}, "sequences", False, ALL),
    ("stable_reinforce", "stable_reinforce", {"kl_coeff": 0.1}, "sampled", False, ALL),
]


def tiny(directory: str, seed: int) -> None:
    cfg, params = load_config(FIXTURES / directory), load_params(FIXTURES / directory)
    rng = np.random.default_rng(seed)
    rank = 4
    lora = random_lora(cfg, rank, seed)
    tokens = rng.integers(0, cfg.vocab_size, 16)
    batch = jnp.asarray(tokens[None, :])
    result: dict[str, Any] = {
        "model": directory,
        "tokens": tokens.tolist(),
        "logits": tensor(forward(params, cfg, batch)[0]),
        "logits_lora": tensor(forward(params, cfg, batch, lora)[0]),
    }
    if directory == "tiny-llama":
        scaled = parse_config({**LLAMA_CONFIG, "rope_scaling": LLAMA3_ROPE})
        result["rope_scaling"] = {"config": LLAMA3_ROPE, "logits": tensor(forward(params, scaled, batch)[0])}
    data = make_data(params, cfg, lora, rng)
    result |= {"rank": rank, "lora": lora_json(lora)}
    used = [case[3] for case in CASES + (QWEN_CASES if directory == "tiny-qwen3" else [])]
    result["data"] = {name: [{"tokens": d.tokens, **d.inputs} for d in group] for name, group in data.items() if name in used}
    cases = []
    for name, loss_fn, config, group, zero_b, switches in CASES + (QWEN_CASES if directory == "tiny-qwen3" else []):
        chosen = {m: dict(lora[m]) for m in lora_targets(cfg, **switches)}
        if zero_b:
            chosen = {m: {"A": ab["A"], "B": jnp.zeros_like(ab["B"])} for m, ab in chosen.items()}
        f = partial(batch_loss, params=params, cfg=cfg, data=data[group], loss_fn=loss_fn, config=config)
        (loss, logprobs), grads = jax.value_and_grad(f, has_aux=True)(chosen)
        cases.append(
            {
                "name": name, "loss_fn": loss_fn, "config": config, "data": group, "zero_b": zero_b,
                "switches": switches, "loss": number(loss), "logprobs": [tensor(x) for x in logprobs],
                "grads": lora_json(grads),
            }
        )  # fmt: skip
        print(f"  {directory} {name}: {float(loss):.6f}")
    result["cases"] = cases
    result["adamw"] = []
    for name, adam in (
        ("defaults", AdamParams(learning_rate=1e-3)),
        ("weight decay and clipping", AdamParams(learning_rate=1e-2, beta1=0.8, beta2=0.9, eps=1e-8, weight_decay=0.1, grad_clip_norm=2.0)),
    ):
        small = random_lora(cfg, 2, seed + 1)
        entry: dict[str, Any] = {
            "name": name, "adam": vars(adam), "data": "supervised", "loss_fn": "cross_entropy", "rank": 2,
            "lora": lora_json(small), "steps": [],
        }  # fmt: skip
        state = init_adam(small)
        f = partial(batch_loss, params=params, cfg=cfg, data=data["supervised"], loss_fn="cross_entropy", config={})
        for _ in range(3):
            (loss, _), grads = jax.value_and_grad(f, has_aux=True)(small)
            small, state = adamw(small, grads, state, adam)
            entry["steps"].append({"loss": number(loss), "grad_norm": number(global_norm(grads)), "lora": lora_json(small)})
            print(f"  {directory} adamw {name}: loss {float(loss):.6f} norm {float(global_norm(grads)):.5f}")
        result["adamw"].append(entry)
    write(f"{directory}.json", result)


# --------------------------------------------------------------------------------------
# Fifty steps of the nano model
# --------------------------------------------------------------------------------------


def hashed_lora(cfg: Config, rank: int) -> dict[str, dict[str, np.ndarray]]:
    lora = {}
    for k, (name, (out, inn)) in enumerate(lora_targets(cfg).items()):
        h = (np.arange(rank * inn, dtype=np.uint64) + np.uint64(k * 0x9E3779B9 % 2**32)) & np.uint64(0xFFFFFFFF)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            h ^= h >> np.uint64(shift)
            h = (h * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
        h ^= h >> np.uint64(16)
        a = (2.0 * h.astype(np.float64) / 2.0**32 - 1.0) / math.sqrt(inn)
        lora[name] = {"A": a.astype(np.float32).reshape(rank, inn), "B": np.zeros((out, rank), np.float32)}
    return lora


def nano_curve(dtype: Any, rank: int, batch: int, bucket: int, steps: int, adam: AdamParams) -> tuple[list[float], list[int], Any]:
    cfg, tok = load_config(MODEL), ByteTokenizer(MODEL)
    params = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), dtype), load_params(MODEL))
    lora = jax.tree.map(lambda x: jnp.asarray(x, dtype), hashed_lora(cfg, rank))
    rows = [json.loads(line) for line in DATA.read_text().splitlines()]
    state = init_adam(lora)
    grad = jax.jit(jax.value_and_grad(padded_cross_entropy), static_argnums=2)
    update = jax.jit(partial(adamw, p=adam))
    losses, counts = [], []
    for k in range(steps):
        tokens, targets, weights = pad_batch([to_datum(r, tok) for r in rows[batch * k : batch * (k + 1)]], bucket)
        loss, grads = grad(lora, params, cfg, tokens, targets, jnp.asarray(weights, dtype))
        lora, state = update(lora, grads, state)
        losses.append(float(loss))
        counts.append(int(weights.sum()))
    return losses, counts, lora


def nano() -> None:
    rank, batch, bucket, steps = 8, 8, 32, 50
    adam = AdamParams(learning_rate=2e-3)
    losses, counts, tuned = nano_curve(np.float32, rank, batch, bucket, steps, adam)
    jax.config.update("jax_enable_x64", True)
    exact, _, _ = nano_curve(np.float64, rank, batch, bucket, steps, adam)
    jax.config.update("jax_enable_x64", False)
    distance = max(abs(a - b) / c for a, b, c in zip(losses, exact, counts))
    print(f"  nano: loss per token {losses[0] / counts[0]:.4f} -> {losses[-1] / counts[-1]:.4f}, float32 to float64 {distance:.2e} per token")
    cfg, params, tok = load_config(MODEL), load_params(MODEL), ByteTokenizer(MODEL)
    rows = [json.loads(line) for line in DATA.read_text().splitlines()]
    prompts = [r["prompt"] for r in rows if r["split"] == "test"][:16]
    best = jax.jit(lambda lora, params, tokens: jnp.argmax(forward(params, cfg, tokens, lora), axis=-1))
    base, after = (greedy(best, x, params, tok, prompts, 40) for x in ({}, tuned))
    write(
        "nano.json",
        {
            "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
            "data_sha256": hashlib.sha256(DATA.read_bytes()).hexdigest(),
            "rank": rank, "batch": batch, "bucket": bucket, "steps": steps, "adam": vars(adam),
            "init": {
                name: {"probe": [number(x) for x in ab["A"].ravel()[:4]], "sum": number(ab["A"].sum(dtype=np.float64))}
                for name, ab in hashed_lora(cfg, rank).items()
            },
            "losses": [number(x) for x in losses], "losses_f64": [float(f"{x:.12g}") for x in exact], "tokens": counts,
            "greedy": [{"prompt": p, "base": b, "tuned": a} for p, b, a in zip(prompts, base, after)],
        },
    )  # fmt: skip


def main() -> None:
    ap = argparse.ArgumentParser(description="Write the numerical fixtures")
    ap.add_argument("--tiny", type=Path, help="a tiny-qwen3 directory to copy")
    ap.add_argument("--only", choices=["tiny-qwen3", "tiny-llama", "nano"])
    args = ap.parse_args()
    FIXTURES.mkdir(parents=True, exist_ok=True)
    if args.tiny:
        (FIXTURES / "tiny-qwen3").mkdir(exist_ok=True)
        for file in sorted(args.tiny.iterdir()):
            shutil.copyfile(file, FIXTURES / "tiny-qwen3" / file.name)
    if args.only in (None, "tiny-qwen3"):
        tiny("tiny-qwen3", 11)
    if args.only in (None, "tiny-llama"):
        make_tiny_llama(FIXTURES / "tiny-llama")
        tiny("tiny-llama", 12)
    if args.only in (None, "nano"):
        nano()


if __name__ == "__main__":
    main()
