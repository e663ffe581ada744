"""Fine-tunes the nano model on examples/data/past-tense.jsonl, to find hyperparameters that
fit the budget of the TypeScript engine and to know what to expect from them.

    python finetune.py                                  # the recommended run
    python finetune.py --lr 2e-3 --batch 32 --steps 96  # another
    python finetune.py --curve                          # and the loss of every step

The loss is the sum over the batch of the completion's tokens (prompt tokens have weight 0);
what is printed is that sum divided by the number of completion tokens.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from model import (
    AdamParams, ByteTokenizer, Config, Datum, Lora, Params, adamw, forward, init_adam, init_lora, load_config,
    load_params, pad_batch, padded_cross_entropy,
)  # fmt: skip

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent / "models" / "nano"
DATA = HERE.parents[2] / "examples" / "data" / "past-tense.jsonl"


def read_rows(path: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [r for r in rows if r["split"] == "train"], [r for r in rows if r["split"] == "test"]


def to_datum(row: dict[str, str], tokenizer: ByteTokenizer) -> Datum:
    """Input is the text without its last token, the targets are the text without its first."""
    prompt, completion = tokenizer.encode(row["prompt"]), tokenizer.encode(row["completion"])
    ids = prompt + completion
    weights = [0.0] * (len(prompt) - 1) + [1.0] * len(completion)
    return Datum(ids[:-1], {"target_tokens": ids[1:], "weights": weights})


@lru_cache(maxsize=None)
def compiled(cfg: Config, adam: AdamParams) -> tuple[Any, Any]:
    @partial(jax.jit, donate_argnums=(0, 1))
    def step(lora: Lora, state: Any, params: Params, tokens: Any, targets: Any, weights: Any, lr: Any) -> Any:
        loss, grads = jax.value_and_grad(padded_cross_entropy)(lora, params, cfg, tokens, targets, weights)
        lora, state = adamw(lora, grads, state, adam, lr)
        return lora, state, loss

    @jax.jit
    def best(lora: Lora, params: Params, tokens: Any) -> Any:
        return jnp.argmax(forward(params, cfg, tokens, lora), axis=-1)

    return step, best


def greedy(best: Any, lora: Lora, params: Params, tok: ByteTokenizer, prompts: list[str], bucket: int) -> list[str]:
    """Completions at temperature 0 that stop at the newline (kept), the end token or the bucket."""
    newline = tok.encode("\n")[0]
    ids = [tok.encode(p) for p in prompts]
    rows = np.zeros((len(ids), bucket), np.int32)
    for i, row in enumerate(ids):
        rows[i, : len(row)] = row
    ends = np.array([len(row) for row in ids])
    starts, live = ends.copy(), np.ones(len(ids), bool)
    while live.any():
        nxt = np.asarray(best(lora, params, rows))[np.arange(len(ids)), ends - 1]
        for i in np.nonzero(live)[0]:
            rows[i, ends[i]] = nxt[i]
            ends[i] += 1
            live[i] = nxt[i] not in (newline, 0) and ends[i] < bucket
    return [tok.decode(rows[i, starts[i] : ends[i]]) for i in range(len(ids))]


def schedule(kind: str, i: int, steps: int, warmup: int) -> float:
    if i < warmup:
        return (i + 1) / warmup
    left = 1 - (i - warmup) / max(1, steps - warmup)
    return {"linear": left, "constant": 1.0, "cosine": 0.5 * (1 + np.cos(np.pi * (1 - left)))}[kind]


def run(
    model: Path = MODEL, data: Path = DATA, rank: int = 16, lr: float = 5e-3, batch: int = 16, steps: int = 128, bucket: int = 32,
    decay: str = "linear", warmup: int = 0, weight_decay: float = 0.0, clip: float = 0.0, seed: int = 0, curve: bool = False,
    switches: dict[str, bool] | None = None,
) -> dict[str, Any]:  # fmt: skip
    cfg, params, tok = load_config(model), load_params(model), ByteTokenizer(model)
    train, test = read_rows(data)
    datums = [to_datum(r, tok) for r in train]
    held = pad_batch([to_datum(r, tok) for r in test], bucket)
    step, best = compiled(cfg, AdamParams(weight_decay=weight_decay, grad_clip_norm=clip))
    lora = init_lora(cfg, rank, seed, **(switches or {}))
    state = init_adam(lora)
    rng = np.random.default_rng(seed)

    def evaluate() -> tuple[float, float, list[str]]:
        texts = greedy(best, lora, params, tok, [r["prompt"] for r in test], 40)
        right = [t == r["completion"] for t, r in zip(texts, test)]
        loss = float(padded_cross_entropy(lora, params, cfg, *held)) / float(held[2].sum())
        return float(np.mean(right)), loss, texts

    before, before_loss, before_texts = evaluate()
    order: list[int] = []
    losses = []
    start = time.time()
    for i in range(steps):
        while len(order) < batch:
            order += rng.permutation(len(datums)).tolist()
        chosen, order = order[:batch], order[batch:]
        tokens, targets, weights = pad_batch([datums[j] for j in chosen], bucket)
        lora, state, loss = step(lora, state, params, tokens, targets, weights, lr * schedule(decay, i, steps, warmup))
        losses.append(float(loss) / float(weights.sum()))
        if curve:
            print(f"step {i + 1:4d}  loss/token {losses[-1]:.4f}", flush=True)
    after, after_loss, texts = evaluate()
    by_rule: dict[str, list[bool]] = {}
    for t, r in zip(texts, test):
        by_rule.setdefault(r["rule"], []).append(t == r["completion"])
    return {
        "before": before, "after": after, "before_loss": before_loss, "after_loss": after_loss,
        "train_loss": float(np.mean(losses[-10:])), "padded_tokens": steps * batch * bucket, "seconds": time.time() - start,
        "by_rule": {k: f"{sum(v)}/{len(v)}" for k, v in by_rule.items()},
        "before_samples": [f"{r['prompt']}{t!r}" for r, t in list(zip(test, before_texts))[:8]],
        "wrong": [f"{r['prompt']}{t.rstrip()}" for r, t in zip(test, texts) if t != r["completion"]],
        "losses": losses,
    }  # fmt: skip


def main() -> None:
    ap = argparse.ArgumentParser(description="LoRA fine-tuning of the nano model, in JAX")
    ap.add_argument("--model", type=Path, default=MODEL)
    ap.add_argument("--data", type=Path, default=DATA)
    ap.add_argument("--rank", type=int, default=16)
    ap.add_argument("--lr", type=float, default=5e-3)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--steps", type=int, default=128)
    ap.add_argument("--bucket", type=int, default=32)
    ap.add_argument("--decay", choices=["linear", "constant", "cosine"], default="linear")
    ap.add_argument("--warmup", type=int, default=0)
    ap.add_argument("--weight-decay", type=float, default=0.0)
    ap.add_argument("--clip", type=float, default=0.0)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--curve", action="store_true")
    args = vars(ap.parse_args())
    result = run(**args)
    result.pop("losses")
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
