"""Renders conversations with tinker-cookbook 0.6.1, as it is on the package index, in every mode.

    python render.py TOKENIZERS OUT            every example, for a live comparison
    python render.py TOKENIZERS OUT --fixture  the conversations with a hash for each example

TOKENIZERS is a folder with the tokenizer of each vocabulary in a folder of its name. The cookbook asks for a version of
tml-renderers that is not on the package index, and for torch; stubs stand in for both, since renderers only keep weights
in tensors.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import logging
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

logging.disable(logging.ERROR)


def stub_torch() -> None:
    """The few functions of torch that renderers call, on NumPy."""
    if importlib.util.find_spec("torch") is not None:
        return
    torch: Any = types.ModuleType("torch")
    torch.__spec__ = importlib.machinery.ModuleSpec("torch", None)
    torch.Tensor = np.ndarray
    torch.tensor = lambda values, dtype=None: np.asarray(values, dtype=dtype or np.float32)
    torch.zeros = lambda n: np.zeros(n, dtype=np.float32)
    torch.cat = np.concatenate
    torch.float32, torch.int64, torch.bool = np.float32, np.int64, np.bool_
    torch.from_numpy = lambda values: values
    sys.modules["torch"] = torch


def stub_others() -> None:
    """Packages that the cookbook imports, and that rendering does not use."""

    class Anything(types.ModuleType):
        __path__: list[str] = []

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    class Finder:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            if name.split(".")[0] not in ("tml_renderers", "datasets"):
                return None
            return importlib.util.spec_from_loader(name, self)

        def create_module(self, spec: Any) -> Any:
            return Anything(spec.name)

        def exec_module(self, module: Any) -> None:
            pass

    sys.meta_path.insert(0, Finder())


stub_torch()
stub_others()

from tinker_cookbook.renderers import TrainOnWhat, get_renderer  # noqa: E402
from tinker_cookbook.renderers.base import ToolCall  # noqa: E402
from tinker_cookbook.supervised.common import datum_from_model_input_weights  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

import conversations  # noqa: E402
import measures  # noqa: E402

RENDERERS = [
    ("role_colon", "llama3_1"),
    ("role_colon", "gemma3"),
    ("llama3", "llama3_1"),
    ("qwen3", "qwen3"),
    ("qwen3_disable_thinking", "qwen3"),
    ("qwen3_instruct", "qwen3"),
]
MODES = [mode.value for mode in TrainOnWhat]


def is_trainable(conversation: int, message: int) -> bool:
    """What `customized` trains; the other side computes the same."""
    return (conversation + message) % 3 != 0


def prepare(renderer: Any, conversation: dict[str, Any], at: int, mode: str) -> list[dict[str, Any]]:
    messages = [dict(message) for message in conversation["messages"]]
    for i, message in enumerate(messages):
        if mode == "customized":
            message["trainable"] = is_trainable(at, i)
        if "tool_calls" in message:
            message["tool_calls"] = [
                ToolCall(id=call["id"], function=ToolCall.FunctionBody(**call["function"]))
                for call in message["tool_calls"]
            ]
    if "tools" in conversation:
        system = messages.pop(0) if messages[0]["role"] == "system" else {"content": ""}
        prefix = renderer.create_conversation_prefix_with_tools(conversation["tools"], system["content"])
        for message in prefix:
            if mode == "customized":
                # the position of the system message, or one before the first
                message["trainable"] = is_trainable(at, 0) if system["content"] else False
        messages = prefix + messages
    return messages


def render(renderer: Any, conversation: dict[str, Any], at: int, mode: str) -> dict[str, Any]:
    try:
        messages = prepare(renderer, conversation, at, mode)
        model_input, weights = renderer.build_supervised_example(messages, train_on_what=TrainOnWhat(mode))
        tokens = list(model_input.to_ints())
        mean = datum_from_model_input_weights(model_input, weights, max_length=64, reduction="mean")
        return {
            "tokens": tokens,
            "weights": [float(w) for w in weights],
            "targets": list(mean.loss_fn_inputs["target_tokens"].data),
            "reduced": [float(w) for w in mean.loss_fn_inputs["weights"].data],
        }
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {error}"}


def fnv(data: bytes) -> str:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:08x}"


def hash_of(example: dict[str, Any]) -> str:
    """Of tokens, weights, and the datum cut to 64 tokens with the mean of weights."""
    if "error" in example:
        return "refused"
    pack = lambda kind, values: struct.pack(f"<{len(values)}{kind}", *values)  # noqa: E731
    return fnv(
        pack("i", example["tokens"])
        + pack("f", example["weights"])
        + pack("i", example["targets"])
        + pack("f", example["reduced"])
    )


def main() -> None:
    tokenizers, out = Path(sys.argv[1]), Path(sys.argv[2])
    made = conversations.make()
    examples: dict[str, list[list[dict[str, Any]]]] = {}
    losses = {}
    for name, vocabulary in RENDERERS:
        tokenizer = AutoTokenizer.from_pretrained(tokenizers / vocabulary)
        renderer = get_renderer(name, tokenizer)
        examples[f"{name} {vocabulary}"] = [
            [render(renderer, conversation, at, mode) for mode in MODES] for at, conversation in enumerate(made)
        ]
        datums = [modes[MODES.index("all_assistant_messages")] for modes in examples[f"{name} {vocabulary}"]]
        if "--fixture" not in sys.argv:
            losses[f"{name} {vocabulary}"] = measures.losses(datums, tokenizer)
    if "--fixture" in sys.argv:
        # the tensors of one conversation may be equal in several modes
        hashes = {key: [" ".join(map(hash_of, modes)) for modes in found] for key, found in examples.items()}
        out.write_text(json.dumps({"modes": MODES, "conversations": made, "hashes": hashes}, ensure_ascii=False))
    else:
        found = {"modes": MODES, "conversations": made, "examples": examples, "losses": losses}
        out.write_text(json.dumps({**found, "rates": measures.rates()}, ensure_ascii=False))


main()
