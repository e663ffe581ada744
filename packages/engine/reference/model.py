"""An independent reference implementation, in JAX, of what the TypeScript engine computes.

It is written for reading and for checking, not for speed:

  * the Llama / Qwen3 family of decoders, loaded from a Hugging Face directory;
  * LoRA adapters, with the conventions of PEFT;
  * the five losses of the Tinker API, as sums over tokens;
  * AdamW with decoupled weight decay and clipping by the global norm.

Everything is float32 (or float64, if the weights passed in are). Weights keep the Hugging Face layout (out, in) and the Hugging Face names.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

Params = dict[str, jax.Array]
# {"model.layers.0.self_attn.q_proj": {"A": (r, in), "B": (out, r)}, ..., "lm_head": {...}}
Lora = dict[str, dict[str, jax.Array]]

LORA_ALPHA = 32.0


# --------------------------------------------------------------------------------------
# Configuration and weights
# --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool
    qk_norm: bool
    # None, or a tuple of pairs (a dict would not hash) for "linear" and "llama3" scaling.
    rope_scaling: tuple[tuple[str, Any], ...] | None = None


def parse_config(raw: Mapping[str, Any]) -> Config:
    model_type = raw["model_type"]
    if model_type not in ("llama", "qwen2", "qwen3", "mistral"):
        raise ValueError(f"unsupported model_type {model_type!r}")
    # transformers 5 writes rope_parameters, transformers 4 rope_theta and rope_scaling.
    rope = raw.get("rope_parameters") or {}
    scaling = raw.get("rope_scaling") or rope
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind not in ("default", "linear", "llama3"):
        raise ValueError(f"unsupported rope type {kind!r}")
    heads = raw["num_attention_heads"]
    return Config(
        vocab_size=raw["vocab_size"],
        hidden_size=raw["hidden_size"],
        intermediate_size=raw["intermediate_size"],
        num_layers=raw["num_hidden_layers"],
        num_heads=heads,
        num_kv_heads=raw.get("num_key_value_heads") or heads,
        head_dim=raw.get("head_dim") or raw["hidden_size"] // heads,
        rms_norm_eps=raw.get("rms_norm_eps", 1e-6),
        rope_theta=float(rope.get("rope_theta", raw.get("rope_theta", 10000.0))),
        tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
        qk_norm=model_type == "qwen3",
        rope_scaling=None if kind == "default" else tuple(sorted({**scaling, "rope_type": kind}.items())),
    )


def load_config(directory: str | os.PathLike[str]) -> Config:
    return parse_config(json.loads((Path(directory) / "config.json").read_text()))


SAFETENSORS_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
}


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Tensors of one file in their stored types: u64 header length, JSON header, raw data."""
    blob = Path(path).read_bytes()
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + length])
    data = memoryview(blob)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[start:end], SAFETENSORS_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def write_safetensors(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray]) -> None:
    names = {v: k for k, v in SAFETENSORS_DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    chunks, offset = [], 0
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        chunks.append(array.tobytes())
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(chunks))


def load_params(directory: str | os.PathLike[str]) -> Params:
    """All weights of a Hugging Face directory, single-file or sharded, as float32."""
    directory = Path(directory)
    index = directory / "model.safetensors.index.json"
    if index.exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        files = ["model.safetensors"]
    params: Params = {}
    for file in files:
        for name, array in read_safetensors(directory / file).items():
            params[name] = jnp.asarray(array.astype(np.float32))
    return params


# --------------------------------------------------------------------------------------
# LoRA
# --------------------------------------------------------------------------------------

ATTN = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


def lora_targets(
    cfg: Config, train_attn: bool = True, train_mlp: bool = True, train_unembed: bool = True
) -> dict[str, tuple[int, int]]:
    """Module name -> (out, in), in the canonical order. The embedding has no adapter."""
    d, f = cfg.hidden_size, cfg.intermediate_size
    q, kv = cfg.num_heads * cfg.head_dim, cfg.num_kv_heads * cfg.head_dim
    shapes = {
        "q_proj": (q, d), "k_proj": (kv, d), "v_proj": (kv, d), "o_proj": (d, q),
        "gate_proj": (f, d), "up_proj": (f, d), "down_proj": (d, f),
    }  # fmt: skip
    targets = {}
    for layer in range(cfg.num_layers):
        if train_attn:
            for name in ATTN:
                targets[f"model.layers.{layer}.self_attn.{name}"] = shapes[name]
        if train_mlp:
            for name in MLP:
                targets[f"model.layers.{layer}.mlp.{name}"] = shapes[name]
    if train_unembed:
        targets["lm_head"] = (cfg.vocab_size, d)
    return targets


def init_lora(cfg: Config, rank: int, seed: int = 0, **switches: bool) -> Lora:
    """As PEFT: A kaiming-uniform with a = sqrt(5), that is bound 1/sqrt(in); B zero."""
    rng = np.random.default_rng(seed)
    lora: Lora = {}
    for name, (out, inn) in lora_targets(cfg, **switches).items():
        bound = 1.0 / math.sqrt(inn)
        a = rng.uniform(-bound, bound, (rank, inn)).astype(np.float32)
        lora[name] = {"A": jnp.asarray(a), "B": jnp.zeros((out, rank), jnp.float32)}
    return lora


def formula_lora(cfg: Config, rank: int, b_scale: float = 0.02, a_scale: float = 0.02, **switches: bool) -> Lora:
    """A[i, j] = a_scale * sin(1 + i * in + j), B[i, j] = b_scale * cos(1 + i * rank + j),
    evaluated in float64 and rounded to float32."""
    lora: Lora = {}
    for name, (out, inn) in lora_targets(cfg, **switches).items():
        a = a_scale * np.sin(1.0 + np.arange(rank * inn, dtype=np.float64)).reshape(rank, inn)
        b = b_scale * np.cos(1.0 + np.arange(out * rank, dtype=np.float64)).reshape(out, rank)
        lora[name] = {"A": jnp.asarray(a.astype(np.float32)), "B": jnp.asarray(b.astype(np.float32))}
    return lora


# --------------------------------------------------------------------------------------
# Forward pass
# --------------------------------------------------------------------------------------


def rms_norm(x: jax.Array, weight: jax.Array, eps: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rope_frequencies(cfg: Config) -> np.ndarray:
    half = cfg.head_dim // 2
    inv = cfg.rope_theta ** (-np.arange(half, dtype=np.float64) / half)
    if cfg.rope_scaling is None:
        return inv
    s = dict(cfg.rope_scaling)
    if s["rope_type"] == "linear":
        return inv / s["factor"]
    # llama3: long wavelengths are divided by the factor, short ones kept, a ramp between.
    factor, low, high = s["factor"], s["low_freq_factor"], s["high_freq_factor"]
    turns = s["original_max_position_embeddings"] * inv / (2 * np.pi)
    keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return inv * keep + inv / factor * (1.0 - keep)


def rope_tables(cfg: Config, length: int, dtype: Any = jnp.float32) -> tuple[jax.Array, jax.Array]:
    angles = np.arange(length, dtype=np.float64)[:, None] * rope_frequencies(cfg)[None, :]
    return jnp.asarray(np.cos(angles), dtype), jnp.asarray(np.sin(angles), dtype)


def apply_rope(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    """x: (batch, length, heads, head_dim); the halves of head_dim form the rotated pairs."""
    a, b = jnp.split(x, 2, axis=-1)
    cos, sin = cos[None, :, None, :], sin[None, :, None, :]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def forward(params: Params, cfg: Config, tokens: jax.Array, lora: Lora | None = None, alpha: float = LORA_ALPHA) -> jax.Array:
    """tokens (batch, length) -> logits (batch, length, vocabulary).

    Positions count from 0 in every row and attention is causal, so rows may be padded on
    the right with any token: what stands before the padding is not affected by it."""
    batch, length = tokens.shape
    heads, kv_heads, hd = cfg.num_heads, cfg.num_kv_heads, cfg.head_dim
    lora = lora or {}

    def linear(x: jax.Array, name: str, weight: jax.Array | None = None) -> jax.Array:
        w = params[f"{name}.weight"] if weight is None else weight
        y = x @ w.T
        if f"{name}.bias" in params:
            y = y + params[f"{name}.bias"]
        if name in lora:
            a, b = lora[name]["A"], lora[name]["B"]
            y = y + (alpha / a.shape[0]) * ((x @ a.T) @ b.T)
        return y

    cos, sin = rope_tables(cfg, length, params["model.embed_tokens.weight"].dtype)
    causal = jnp.tril(jnp.ones((length, length), bool))
    x = params["model.embed_tokens.weight"][tokens]
    for layer in range(cfg.num_layers):
        p = f"model.layers.{layer}"
        h = rms_norm(x, params[f"{p}.input_layernorm.weight"], cfg.rms_norm_eps)
        q = linear(h, f"{p}.self_attn.q_proj").reshape(batch, length, heads, hd)
        k = linear(h, f"{p}.self_attn.k_proj").reshape(batch, length, kv_heads, hd)
        v = linear(h, f"{p}.self_attn.v_proj").reshape(batch, length, kv_heads, hd)
        if cfg.qk_norm:
            q = rms_norm(q, params[f"{p}.self_attn.q_norm.weight"], cfg.rms_norm_eps)
            k = rms_norm(k, params[f"{p}.self_attn.k_norm.weight"], cfg.rms_norm_eps)
        q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
        # Query head i reads key/value head i // (heads // kv_heads).
        q = q.reshape(batch, length, kv_heads, heads // kv_heads, hd)
        scores = jnp.einsum("btkgd,bskd->bkgts", q, k) / math.sqrt(hd)
        probs = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
        o = jnp.einsum("bkgts,bskd->btkgd", probs, v).reshape(batch, length, heads * hd)
        x = x + linear(o, f"{p}.self_attn.o_proj")
        h = rms_norm(x, params[f"{p}.post_attention_layernorm.weight"], cfg.rms_norm_eps)
        gate, up = linear(h, f"{p}.mlp.gate_proj"), linear(h, f"{p}.mlp.up_proj")
        x = x + linear(jax.nn.silu(gate) * up, f"{p}.mlp.down_proj")
    x = rms_norm(x, params["model.norm.weight"], cfg.rms_norm_eps)
    head = params["model.embed_tokens.weight"] if cfg.tie_word_embeddings else params["lm_head.weight"]
    return linear(x, "lm_head", head)


# --------------------------------------------------------------------------------------
# Losses: all of them sums over tokens and datums, never means
# --------------------------------------------------------------------------------------


def target_logprobs(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """logits (..., length, vocabulary) and targets (..., length) or (..., length, k)."""
    logprobs = jax.nn.log_softmax(logits, axis=-1)
    if targets.ndim == logits.ndim:
        return jnp.take_along_axis(logprobs, targets, axis=-1)
    return jnp.take_along_axis(logprobs, targets[..., None], axis=-1)[..., 0]


def cross_entropy(lp: jax.Array, inputs: Mapping[str, jax.Array], config: Mapping[str, float]) -> jax.Array:
    return -jnp.sum(lp * inputs["weights"])


def importance_sampling(lp: jax.Array, inputs: Mapping[str, jax.Array], config: Mapping[str, float]) -> jax.Array:
    return -jnp.sum(jnp.exp(lp - inputs["logprobs"]) * inputs["advantages"])


def ppo(lp: jax.Array, inputs: Mapping[str, jax.Array], config: Mapping[str, float]) -> jax.Array:
    low = config.get("clip_low_threshold", 0.8)
    high = config.get("clip_high_threshold", 1.2)
    ratio, adv = jnp.exp(lp - inputs["logprobs"]), inputs["advantages"]
    return -jnp.sum(jnp.minimum(ratio * adv, jnp.clip(ratio, low, high) * adv))


def cispo(lp: jax.Array, inputs: Mapping[str, jax.Array], config: Mapping[str, float]) -> jax.Array:
    low = config.get("clip_low_threshold", 0.0)
    high = config.get("clip_high_threshold", 4.0)
    ratio = jnp.exp(lp - inputs["logprobs"])
    return -jnp.sum(jax.lax.stop_gradient(jnp.clip(ratio, low, high)) * lp * inputs["advantages"])


def dro(lp: jax.Array, inputs: Mapping[str, jax.Array], config: Mapping[str, float]) -> jax.Array:
    beta = config.get("beta", 0.05)
    return -jnp.sum(lp * inputs["advantages"] - 0.5 * beta * (lp - inputs["logprobs"]) ** 2)


def gspo(lp: jax.Array, inputs: Mapping[str, jax.Array], config: Mapping[str, float]) -> jax.Array:
    """GSPO-token: every token has the value of the sequence's ratio, and the gradient of its own logprob."""
    low = config.get("clip_low_threshold", 1 - 3e-4)
    high = config.get("clip_high_threshold", 1 + 4e-4)
    mask, adv = inputs["sequence_ratio_mask"] != 0, inputs["advantages"]
    held = jax.lax.stop_gradient(lp)
    mean = jnp.sum(jnp.where(mask, held - inputs["logprobs"], 0)) / jnp.sum(mask)
    ratio = jnp.exp(mean + lp - held)
    return -jnp.sum(jnp.minimum(ratio * adv, jnp.clip(ratio, low, high) * adv))


def stable_reinforce(lp: jax.Array, inputs: Mapping[str, jax.Array], config: Mapping[str, float]) -> jax.Array:
    """REINFORCE with weights truncated at 1, and a squared log-ratio that stays near the sampling policy."""
    log_ratio = lp - inputs["logprobs"]
    weight = jax.lax.stop_gradient(jnp.minimum(jnp.exp(log_ratio), 1.0))
    kl = config.get("kl_coeff", 0.0) * 0.5 * log_ratio**2
    return jnp.sum(inputs["sampled_mask"] * (kl - weight * inputs["advantages"] * lp))


LOSSES: dict[str, Callable[..., jax.Array]] = {
    "cross_entropy": cross_entropy,
    "importance_sampling": importance_sampling,
    "ppo": ppo,
    "cispo": cispo,
    "dro": dro,
    "gspo": gspo,
    "stable_reinforce": stable_reinforce,
}


@dataclass(frozen=True)
class Datum:
    """Position i of `tokens` predicts `inputs["target_tokens"][i]`."""

    tokens: Sequence[int]
    inputs: Mapping[str, Any]


def pad_batch(data: Sequence[Datum], bucket: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens, targets and weights of cross-entropy datums as (batch, bucket) arrays, padded on
    the right with zeros. A padded position has weight 0 and therefore costs nothing."""
    tokens = np.zeros((len(data), bucket), np.int32)
    targets = np.zeros((len(data), bucket), np.int32)
    weights = np.zeros((len(data), bucket), np.float32)
    for i, d in enumerate(data):
        n = len(d.tokens)
        tokens[i, :n], targets[i, :n], weights[i, :n] = d.tokens, d.inputs["target_tokens"], d.inputs["weights"]
    return tokens, targets, weights


def batch_loss(
    lora: Lora, params: Params, cfg: Config, data: Sequence[Datum], loss_fn: str, config: Mapping[str, float]
) -> tuple[jax.Array, list[jax.Array]]:
    """Exact and slow: every datum alone and unpadded. Returns the summed loss and the target
    log-probabilities of each datum."""
    total, logprobs = 0.0, []
    for d in data:
        logits = forward(params, cfg, jnp.asarray([d.tokens], jnp.int32), lora)[0]
        lp = target_logprobs(logits, jnp.asarray(d.inputs["target_tokens"], jnp.int32))
        rest = {k: jnp.asarray(v, jnp.float32) for k, v in d.inputs.items() if k != "target_tokens"}
        total = total + LOSSES[loss_fn](lp, rest, config)
        logprobs.append(lp)
    return total, logprobs


def padded_cross_entropy(lora: Lora, params: Params, cfg: Config, tokens: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    lp = target_logprobs(forward(params, cfg, tokens, lora), targets)
    return -jnp.sum(lp * weights)


# --------------------------------------------------------------------------------------
# AdamW
# --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AdamParams:
    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-12
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0  # 0: off


def global_norm(tree: Any) -> jax.Array:
    return jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(tree)))


def init_adam(tree: Any) -> dict[str, Any]:
    return {"step": jnp.int32(0), "m": jax.tree.map(jnp.zeros_like, tree), "v": jax.tree.map(jnp.zeros_like, tree)}


def adamw(tree: Any, grads: Any, state: dict[str, Any], p: AdamParams, learning_rate: Any = None) -> tuple[Any, dict[str, Any]]:
    """One step. `learning_rate` overrides `p.learning_rate` (so that a schedule can be traced)."""
    lr = p.learning_rate if learning_rate is None else learning_rate
    if p.grad_clip_norm > 0:
        norm = global_norm(grads)
        scale = jnp.where(norm > p.grad_clip_norm, p.grad_clip_norm / norm, 1.0)
        grads = jax.tree.map(lambda g: g * scale, grads)
    step = state["step"] + 1
    t = step.astype(jnp.float32)
    m = jax.tree.map(lambda m, g: p.beta1 * m + (1 - p.beta1) * g, state["m"], grads)
    v = jax.tree.map(lambda v, g: p.beta2 * v + (1 - p.beta2) * g * g, state["v"], grads)
    c1, c2 = 1 - p.beta1**t, 1 - p.beta2**t

    def update(w: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
        return w - lr * ((m / c1) / (jnp.sqrt(v / c2) + p.eps) + p.weight_decay * w)

    return jax.tree.map(update, tree, m, v), {"step": step, "m": m, "v": v}


# --------------------------------------------------------------------------------------
# Byte-level tokenizer without merges
# --------------------------------------------------------------------------------------


class ByteTokenizer:
    """tokenizer.json of the byte-level kind with an empty merge table: one token per byte."""

    def __init__(self, directory: str | os.PathLike[str]):
        raw = json.loads((Path(directory) / "tokenizer.json").read_text())
        if raw["model"]["merges"]:
            raise ValueError("this tokenizer has merges")
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        rest = [b for b in range(256) if b not in set(printable)]
        to_char = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
        vocab = raw["model"]["vocab"]
        self.byte_to_id = np.array([vocab[to_char[b]] for b in range(256)], np.int32)
        self.id_to_byte = {int(i): b for b, i in enumerate(self.byte_to_id)}
        self.specials = {t["content"]: t["id"] for t in raw["added_tokens"]}

    def encode(self, text: str) -> list[int]:
        return self.byte_to_id[np.frombuffer(text.encode(), np.uint8)].tolist() if text else []

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(self.id_to_byte[int(i)] for i in ids if int(i) in self.id_to_byte).decode("utf-8", "replace")


if __name__ == "__main__":
    import sys

    directory = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "test/fixtures/tiny-qwen3"
    config = load_config(directory)
    logits = forward(load_params(directory), config, jnp.asarray([[10, 11, 12, 13]]))
    print(target_logprobs(logits, jnp.asarray([[11, 12, 13, 14]])))
