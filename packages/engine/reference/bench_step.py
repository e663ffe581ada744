"""Tokens per second of one LoRA training step (value, gradient, AdamW) in JAX.

    taskset -c 0 python bench_step.py --batch 8 --length 128
    python bench_step.py --threads 2

One thread unless told otherwise. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path


def main() -> None:
    ap = argparse.ArgumentParser(description="Benchmark of a LoRA training step")
    ap.add_argument("--model", type=Path, default=Path(__file__).resolve().parent.parent / "models" / "nano")
    ap.add_argument("--batch", type=int, default=8)
    ap.add_argument("--length", type=int, default=128)
    ap.add_argument("--rank", type=int, default=16)
    ap.add_argument("--steps", type=int, default=20)
    ap.add_argument("--threads", type=int, default=1)
    args = ap.parse_args()

    # Before JAX is imported. Pinning the process to its cores also keeps XLA from making more
    # threads than they are.
    if args.threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get("XLA_FLAGS", "")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[: args.threads]
        os.sched_setaffinity(0, cores)

    import jax
    import jax.numpy as jnp
    import numpy as np

    from finetune import compiled
    from model import AdamParams, init_adam, init_lora, load_config, load_params

    cfg, params = load_config(args.model), load_params(args.model)
    lora = init_lora(cfg, args.rank)
    state = init_adam(lora)
    step, _ = compiled(cfg, AdamParams())
    rng = np.random.default_rng(0)
    shape = (args.batch, args.length)
    tokens, targets = (jnp.asarray(rng.integers(0, cfg.vocab_size, shape), jnp.int32) for _ in range(2))
    weights = jnp.ones(shape, jnp.float32)

    def once() -> None:
        nonlocal lora, state
        lora, state, loss = step(lora, state, params, tokens, targets, weights, 1e-4)
        jax.block_until_ready((lora, loss))

    start = time.perf_counter()
    once()
    compile_seconds = time.perf_counter() - start
    once()
    times = []
    for _ in range(args.steps):
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    # The median: a shared machine has slow moments.
    seconds = float(np.median(times))
    count = args.batch * args.length
    print(
        json.dumps(
            {
                "implementation": "jax", "version": jax.__version__, "model": args.model.resolve().name, "rank": args.rank,
                "batch": args.batch, "length": args.length, "threads": args.threads, "steps": args.steps,
                "step_seconds": round(seconds, 6), "compile_seconds": round(compile_seconds, 3),
                "tokens_per_second": round(count / seconds, 1),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
