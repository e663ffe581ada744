"""What tinker-cookbook 0.6.1 recommends and measures: learning rates, and the loss and bits per byte of batches."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import tinker
from tinker_cookbook import hyperparam_utils
from tinker_cookbook.supervised.common import compute_bpb, compute_mean_nll

# beside the models that its source names
OTHERS = ["meta-llama/Llama-3.1-8B:peft:131072", "openai/gpt-oss-20b:peft:32768", "acme/unheard-of-7B"]
BATCH = 8


def rates() -> dict[str, float | None]:
    """The recommended rate by model, or None where there is none."""
    import inspect

    source = inspect.getsource(hyperparam_utils._get_hidden_size)
    names = re.findall(r'^ +"([^"]+/[^"]+)": \d+', source, re.MULTILINE)
    found: dict[str, float | None] = {}
    for name in names + OTHERS:
        try:
            found[name] = hyperparam_utils.get_lr(name)
        except Exception:  # noqa: BLE001
            found[name] = None
    return found


def logprob(datum: int, position: int) -> float:
    """A number that looks like one; the other side computes the same."""
    return -((datum * 7919 + position * 104729) % 4001) / 1000


def losses(examples: list[dict[str, Any]], tokenizer: Any) -> list[list[float]]:
    """The mean NLL and the bits per byte of each batch of datums."""
    # without it, only the few that the configuration names count as special: 2 of the 256 of Llama 3
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    tokenizer.is_special_token = special.__contains__
    datums = [example for example in examples if "error" not in example and sum(example["reduced"]) > 0]
    found = []
    for start in range(0, len(datums) - BATCH + 1, BATCH):
        batch = datums[start : start + BATCH]
        floats = lambda values: tinker.TensorData.from_numpy(np.asarray(values, dtype=np.float32))  # noqa: E731
        logprobs = [
            floats([logprob(start + i, at) for at in range(len(datum["targets"]))]) for i, datum in enumerate(batch)
        ]
        weights = [floats(datum["reduced"]) for datum in batch]
        targets = [tinker.TensorData.from_numpy(np.asarray(datum["targets"], dtype=np.int64)) for datum in batch]
        found.append([compute_mean_nll(logprobs, weights), compute_bpb(logprobs, weights, targets, tokenizer)])
    return found
