"""What JAX manages on one thread, for comparison with the engine: a LoRA training step, and sampling with a cache.

Driven line by line over standard input, so that its measurements and another program's alternate:

    train     one step (value, gradient, AdamW), compiled by `jax.jit`; prints its seconds of processor time
    sample    one request: the prompt is read once, the cache copied to all sequences, and a `lax.scan` within
              `jax.jit` draws the tokens; keys and values are updated in place; prints the same
    memory    prints the most memory that the process has held, in megabytes

Prints one line of JSON when it starts: the version, and the processor time from the start of the process to the end of the
first step.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any


def main() -> None:
    ap = argparse.ArgumentParser(description="Benchmark of training and sampling")
    ap.add_argument("--model", type=Path, required=True)
    ap.add_argument("--batch", type=int, default=8)
    ap.add_argument("--length", type=int, default=128)
    ap.add_argument("--rank", type=int, default=16)
    ap.add_argument("--sequences", type=int, default=8)
    ap.add_argument("--prompt", type=int, default=32)
    ap.add_argument("--sampled", type=int, default=64)
    args = ap.parse_args()

    # Before JAX is imported: one thread, and one core, as XLA else makes a thread for each that there is.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get("XLA_FLAGS", "")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])

    import jax
    import jax.numpy as jnp
    import numpy as np

    from finetune import compiled
    from model import AdamParams, apply_rope, init_adam, init_lora, load_config, rms_norm, rope_tables

    cfg = load_config(args.model)

    def read(path: Path) -> dict[str, jax.Array]:
        """One tensor after the other, so that the file is never in memory as a whole."""
        out = {}
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            start = file.tell()
            for name, entry in header.items():
                if name != "__metadata__":
                    file.seek(start + entry["data_offsets"][0])
                    out[name] = jnp.asarray(np.fromfile(file, np.float32, math.prod(entry["shape"])).reshape(entry["shape"]))
        return out

    params = read(args.model / "model.safetensors")
    lora = init_lora(cfg, args.rank)
    state = init_adam(lora)
    step, _ = compiled(cfg, AdamParams())
    rng = np.random.default_rng(0)
    shape = (args.batch, args.length)
    tokens, targets = (jnp.asarray(rng.integers(0, cfg.vocab_size, shape), jnp.int32) for _ in range(2))
    weights = jnp.ones(shape, jnp.float32)

    def train() -> None:
        nonlocal lora, state
        lora, state, loss = step(lora, state, params, tokens, targets, weights, 1e-4)
        jax.block_until_ready((lora, loss))

    total = args.prompt + args.sampled

    def read_tokens(params: Any, cache: Any, x: Any, at: Any, rows: int, length: int) -> Any:
        """Reads `length` embedded tokens from the place `at` on, after what the cache holds."""
        heads, kv, hd = cfg.num_heads, cfg.num_kv_heads, cfg.head_dim
        cos, sin = (jax.lax.dynamic_slice_in_dim(table, at, length) for table in rope_tables(cfg, total))
        visible = jnp.arange(total)[None, :] <= at + jnp.arange(length)[:, None]
        linear = lambda x, name: x @ params[f"{name}.weight"].T
        kept = []
        for layer in range(cfg.num_layers):
            p = f"model.layers.{layer}"
            h = rms_norm(x, params[f"{p}.input_layernorm.weight"], cfg.rms_norm_eps)
            q = linear(h, f"{p}.self_attn.q_proj").reshape(rows, length, heads, hd)
            k = linear(h, f"{p}.self_attn.k_proj").reshape(rows, length, kv, hd)
            v = linear(h, f"{p}.self_attn.v_proj").reshape(rows, length, kv, hd)
            if cfg.qk_norm:
                q = rms_norm(q, params[f"{p}.self_attn.q_norm.weight"], cfg.rms_norm_eps)
                k = rms_norm(k, params[f"{p}.self_attn.k_norm.weight"], cfg.rms_norm_eps)
            q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
            keys = jax.lax.dynamic_update_slice_in_dim(cache[layer][0], k.transpose(0, 2, 1, 3), at, 2)
            values = jax.lax.dynamic_update_slice_in_dim(cache[layer][1], v.transpose(0, 2, 1, 3), at, 2)
            kept.append((keys, values))
            q = q.reshape(rows, length, kv, heads // kv, hd)
            scores = jnp.einsum("btkgd,bksd->bkgts", q, keys) / math.sqrt(hd)
            probs = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
            o = jnp.einsum("bkgts,bksd->btkgd", probs, values).reshape(rows, length, heads * hd)
            x = x + linear(o, f"{p}.self_attn.o_proj")
            h = rms_norm(x, params[f"{p}.post_attention_layernorm.weight"], cfg.rms_norm_eps)
            x = x + linear(jax.nn.silu(linear(h, f"{p}.mlp.gate_proj")) * linear(h, f"{p}.mlp.up_proj"), f"{p}.mlp.down_proj")
        x = rms_norm(x[:, -1], params["model.norm.weight"], cfg.rms_norm_eps)
        return x @ params["model.embed_tokens.weight" if cfg.tie_word_embeddings else "lm_head.weight"].T, kept

    @partial(jax.jit, static_argnums=2)
    def generate(params: Any, prompt: Any, rows: int, key: Any) -> Any:
        embedding = params["model.embed_tokens.weight"]
        empty = jnp.zeros((1, cfg.num_kv_heads, total, cfg.head_dim), jnp.float32)
        cache = [(empty, empty)] * cfg.num_layers
        logits, cache = read_tokens(params, cache, embedding[prompt][None], 0, 1, args.prompt)
        cache = jax.tree.map(lambda x: jnp.repeat(x, rows, axis=0), cache)

        def draw(logits: Any, key: Any) -> Any:
            token = jax.random.categorical(key, logits)
            logprobs = jax.nn.log_softmax(logits)
            return token, jnp.take_along_axis(logprobs, token[:, None], axis=-1)[:, 0]

        def one(carry: Any, i: Any) -> Any:
            token, cache, key = carry
            key, now = jax.random.split(key)
            logits, cache = read_tokens(params, cache, embedding[token][:, None], args.prompt + i, rows, 1)
            token, logprob = draw(logits, now)
            return (token, cache, key), (token, logprob)

        key, now = jax.random.split(key)
        first, logprob = draw(jnp.repeat(logits, rows, axis=0), now)
        _, (rest, logprobs) = jax.lax.scan(one, (first, cache, key), jnp.arange(args.sampled - 1))
        return jnp.concatenate([first[None], rest]), jnp.concatenate([logprob[None], logprobs])

    prompt = jnp.asarray(rng.integers(0, cfg.vocab_size, args.prompt), jnp.int32)

    def sample() -> None:
        jax.block_until_ready(generate(params, prompt, args.sequences, jax.random.key(0)))

    train()
    print(json.dumps({"name": f"jax-{jax.__version__}", "first": time.process_time()}), flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command == "memory":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
        else:
            start = time.process_time()
            {"train": train, "sample": sample}[command]()
            print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main()
