"""Runs the training loops of tinker-cookbook, as it is on the package index, against a service. main.ts runs it.

python loops.py URL KEY MODEL TOKENIZER_DIRECTORY

The loops are the cookbook's own: supervised training, RL with every loss of today, DPO, and distillation from a teacher
on policy and off policy. What they train on is made here, since data sets of a hub may be out of reach. Each checks that
the loop took all its steps, with numbers that are finite and that fit the loss.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import sys
import tempfile
import time
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import Any, Callable, Sequence

HOME = Path(tempfile.mkdtemp())
# so that nothing outside is read or asked for
os.environ.update(HOME=str(HOME), HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", WANDB_MODE="disabled")
for name in list(os.environ):
    if name.startswith(("TINKER_", "CLOUDFLARE_")):
        del os.environ[name]
URL, KEY, MODEL, DIRECTORY = sys.argv[1:5]
os.environ.update(TINKER_API_KEY=KEY, TINKER_BASE_URL=URL)
warnings.filterwarnings("ignore")

import chz
import datasets
import tinker
from importlib.metadata import version
from tinker_cookbook import renderers
from tinker_cookbook.distillation import train_off_policy, train_on_policy
from tinker_cookbook.distillation.datasets import DistillationDatasetConfig, PromptOnlyDataset, TeacherConfig
from tinker_cookbook.preference import train_dpo
from tinker_cookbook.preference.dpo_datasets import DPODatasetBuilderFromComparisons
from tinker_cookbook.preference.preference_datasets import ComparisonDatasetBuilder
from tinker_cookbook.preference.types import Comparison, LabeledComparison
from tinker_cookbook.recipes import rl_loop
from tinker_cookbook.rl import train as rl
from tinker_cookbook.rl.problem_env import ProblemEnv, ProblemGroupBuilder
from tinker_cookbook.rl.types import RLDataset, RLDatasetBuilder
from tinker_cookbook.supervised import train as supervised
from tinker_cookbook.supervised.data import FromConversationFileBuilder
from tinker_cookbook.supervised.types import ChatDatasetBuilderCommonConfig
from tinker_cookbook.tokenizer_utils import get_tokenizer, register_tokenizer
from transformers import AutoTokenizer

logging.disable(logging.WARNING)
# the model is not on the hub
register_tokenizer(MODEL, lambda: AutoTokenizer.from_pretrained(DIRECTORY))
RENDERER = "role_colon"
WORDS = ["walk", "jump", "look", "play", "call", "want", "help", "open"]
failures: list[str] = []


def common(batch_size: int) -> ChatDatasetBuilderCommonConfig:
    return ChatDatasetBuilderCommonConfig(
        model_name_for_tokenizer=MODEL, renderer_name=RENDERER, max_length=256, batch_size=batch_size
    )


def lines_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(path) / "metrics.jsonl").read_text().splitlines()]


def values(path: str, name: str, count: int) -> list[float]:
    """The values of a metric, one a step, which must all be there."""
    found = [line[name] for line in lines_of(path) if name in line]
    assert len(found) == count and all(map(math.isfinite, found)), (name, found)
    return found


def shown(found: Sequence[float]) -> str:
    return " → ".join(f"{value:.4f}" for value in found)


# --- supervised training


def conversations() -> str:
    path = HOME / "conversations.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"past of {w}?"}, {"role": "assistant", "content": f"{w}ed"}]}
        for w in WORDS * 4
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def sft(log_path: str) -> str:
    config = supervised.Config(
        log_path=log_path,
        model_name=MODEL,
        recipe_name="interop",
        renderer_name=RENDERER,
        dataset_builder=FromConversationFileBuilder(common_config=common(8), file_path=conversations(), test_size=8),
        learning_rate=2e-3,
        num_epochs=2,
        lora_rank=8,
        eval_every=2,
        save_every=2,
        max_steps=4,
    )
    asyncio.run(supervised.main(config))
    losses = values(log_path, "train_mean_nll", 4)
    assert losses[-1] < losses[0], losses
    held_out = [line["test/nll"] for line in lines_of(log_path) if "test/nll" in line]
    assert held_out and all(map(math.isfinite, held_out)), held_out
    return shown(losses)


# --- RL


class LettersEnv(ProblemEnv):
    """A reward for an e in the answer."""

    def __init__(self, word: str, renderer: renderers.Renderer):
        super().__init__(renderer, format_coef=0.1)
        self.word = word

    def get_question(self) -> str:
        return f"past of {self.word}?"

    def check_answer(self, sample_str: str) -> bool:
        return "e" in sample_str

    def check_format(self, sample_str: str) -> bool:
        return True

    def get_reference_answer(self) -> str:
        return f"{self.word}ed"


class LettersDataset(RLDataset):
    def __init__(self, renderer: renderers.Renderer, batches: int):
        self.renderer, self.batches = renderer, batches

    def get_batch(self, index: int) -> Sequence[ProblemGroupBuilder]:
        words = [WORDS[(2 * index + i) % len(WORDS)] for i in range(2)]
        return [ProblemGroupBuilder(partial(LettersEnv, word, self.renderer), num_envs=4) for word in words]

    def __len__(self) -> int:
        return self.batches


@chz.chz
class LettersBuilder(RLDatasetBuilder):
    batches: int = 3

    async def __call__(self) -> tuple[LettersDataset, None]:
        renderer = renderers.get_renderer(RENDERER, tokenizer=get_tokenizer(MODEL))
        return LettersDataset(renderer, self.batches), None


def rl_config(log_path: str, **options: Any) -> rl.Config:
    return rl.Config(
        log_path=log_path,
        model_name=MODEL,
        recipe_name="interop",
        renderer_name=RENDERER,
        dataset_builder=LettersBuilder(),
        learning_rate=1e-3,
        max_tokens=12,
        lora_rank=8,
        eval_every=0,
        save_every=2,
        **options,
    )


def rl_sync(loss_fn: str, **options: Any) -> Callable[[str], str]:
    def run(log_path: str) -> str:
        asyncio.run(rl.main(rl_config(log_path, loss_fn=loss_fn, **options)))
        rewards = values(log_path, "env/all/reward/total", 3)
        divergences = values(log_path, "optim/kl_sample_train_v2", 3)
        # in one substep the trainer has the weights of the sampler, so that both compute equal logprobs
        if options.get("num_substeps", 1) == 1:
            assert max(map(abs, divergences)) < 1e-4, divergences
        return f"reward {shown(rewards)}"

    return run


def rl_async(log_path: str) -> str:
    asynchronous = rl.AsyncConfig(max_steps_off_policy=1, groups_per_batch=2)
    assert asynchronous.loss_fn == "stable_reinforce"
    asyncio.run(rl.main(rl_config(log_path, async_config=asynchronous)))
    return f"reward {shown(values(log_path, 'env/all/reward/total', 3))}"


def simple_loop(loss_fn: str) -> Callable[[str], str]:
    """The recipe that is one file. Its questions and rewards are ours."""

    def run(log_path: str) -> str:
        rows = {"question": [f"past of {w}?" for w in WORDS], "answer": [f"#### {i}" for i in range(len(WORDS))]}
        rl_loop.datasets.load_dataset = lambda *_: datasets.DatasetDict(train=datasets.Dataset.from_dict(rows))
        # different for nearly any two answers: equal rewards of a group would train nothing
        rl_loop.get_reward = lambda response, _: sum(map(ord, response)) % 97 / 97
        trained: list[Any] = []
        passed = tinker.TrainingClient.forward_backward

        def recorded(self: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
            future = passed(self, data, *args, **kwargs)
            trained.append(future)
            return future

        tinker.TrainingClient.forward_backward = recorded
        try:
            rl_loop.main(
                rl_loop.Config(
                    base_url=URL, log_path=log_path, model_name=MODEL, batch_size=2, group_size=4, learning_rate=1e-3,
                    lora_rank=8, max_tokens=12, max_steps=2, save_every=1, loss_fn=loss_fn,
                )  # fmt: skip
            )
        finally:
            tinker.TrainingClient.forward_backward = passed
        losses = [future.result().metrics["loss:sum"] for future in trained]
        norms = [line["unclipped_grad_l2:mean"] for line in lines_of(log_path) if "unclipped_grad_l2:mean" in line]
        assert losses and all(map(math.isfinite, losses)), losses
        # on policy and with centred advantages, a loss may be 0, but not its gradient
        assert len(norms) == len(losses) and all(0 < norm < math.inf for norm in norms), norms
        return f"reward {shown(values(log_path, 'reward/total', 2))}, gradient {shown(norms)}"

    return run


# --- preferences


@chz.chz
class PastTense(ComparisonDatasetBuilder):
    def get_train_and_test_datasets(self) -> tuple[datasets.Dataset, None]:
        return datasets.Dataset.from_dict({"word": WORDS * 2}), None

    def example_to_labeled_comparison(self, example: dict[str, str]) -> LabeledComparison:
        word = example["word"]
        answer = lambda text: [{"role": "assistant", "content": text}]  # noqa: E731
        comparison = Comparison(
            prompt_conversation=[{"role": "user", "content": f"past of {word}?"}],
            completion_A=answer(f"{word}ed"),
            completion_B=answer(f"{word}s"),
        )
        return LabeledComparison(comparison=comparison, label="A")


def dpo(log_path: str) -> str:
    config = train_dpo.Config(
        log_path=log_path,
        model_name=MODEL,
        recipe_name="interop",
        renderer_name=RENDERER,
        dataset_builder=DPODatasetBuilderFromComparisons(comparison_builder=PastTense(), common_config=common(4)),
        learning_rate=1e-3,
        lora_rank=8,
        save_every=0,
        eval_every=0,
        max_steps=3,
        base_url=URL,
    )
    train_dpo.main(config)
    losses = values(log_path, "dpo_loss", 3)
    # the model is its own reference at first
    assert abs(losses[0] - math.log(2)) < 1e-3 and losses[-1] < losses[0], losses
    return shown(losses)


# --- distillation


@chz.chz
class Prompts(RLDatasetBuilder):
    async def __call__(self) -> tuple[PromptOnlyDataset, None]:
        tokenizer = get_tokenizer(MODEL)
        renderer = renderers.get_renderer(RENDERER, tokenizer=tokenizer)
        prompts = [f"past of {word}?" for word in WORDS[:4]]
        return PromptOnlyDataset(prompts, batch_size=2, group_size=2, renderer=renderer, tokenizer=tokenizer), None


def teacher() -> TeacherConfig:
    """The weights after supervised training."""
    rows = (HOME / "sft" / "checkpoints.jsonl").read_text().splitlines()
    path = next(row["sampler_path"] for row in map(json.loads, reversed(rows)) if row.get("sampler_path"))
    return TeacherConfig(base_model=MODEL, load_checkpoint_path=path)


def distill_on_policy(log_path: str) -> str:
    config = train_on_policy.Config(
        log_path=log_path,
        model_name=MODEL,
        recipe_name="interop",
        renderer_name=RENDERER,
        dataset_configs=[
            DistillationDatasetConfig(dataset_builder=Prompts(), teacher_config=teacher(), groups_per_batch=2)
        ],
        learning_rate=1e-3,
        max_tokens=12,
        lora_rank=8,
        eval_every=0,
        save_every=0,
        base_url=URL,
    )
    asyncio.run(train_on_policy.main(config))
    return f"teacher KL {shown(values(log_path, 'teacher_kl', 2))}"


def distill_off_policy(log_path: str) -> str:
    builder = FromConversationFileBuilder(common_config=common(4), file_path=conversations())
    config = train_off_policy.Config(
        log_path=log_path,
        model_name=MODEL,
        recipe_name="interop",
        renderer_name=RENDERER,
        dataset_configs=[train_off_policy.DatasetWithTeacher(dataset_builder=builder, teacher_config=teacher())],
        learning_rate=1e-3,
        lora_rank=8,
        n_teacher_targets=4,
        batch_size=4,
        max_steps=2,
        save_every=0,
        eval_every=0,
        base_url=URL,
    )
    asyncio.run(train_off_policy.main(config))
    return f"loss {shown(values(log_path, 'train/loss:sum', 2))}"


RUNS: list[tuple[str, Callable[[str], str]]] = [
    ("sft", sft),
    ("rl importance_sampling", rl_sync("importance_sampling")),
    ("rl ppo", rl_sync("ppo", num_substeps=2)),
    ("rl stable_reinforce", rl_sync("stable_reinforce", loss_fn_config={"kl_coeff": 0.01})),
    ("rl async, stable_reinforce", rl_async),
    ("rl_loop stable_reinforce", simple_loop("stable_reinforce")),
    ("rl_loop gspo", simple_loop("gspo")),
    ("dpo", dpo),
    ("distillation on policy", distill_on_policy),
    ("distillation off policy", distill_off_policy),
]

print(f"tinker-cookbook {version('tinker-cookbook')}, tinker {version('tinker')}")
for name, run in RUNS:
    start = time.monotonic()
    log = HOME / name.replace(" ", "-").replace(",", "")
    log.mkdir()
    try:
        said = run(str(log))
    except Exception as error:
        failures.append(name)
        print(f"FAILED  {name}: {type(error).__name__}: {error}")
        traceback.print_exc(limit=-6)
    else:
        print(f"ok      {name} ({time.monotonic() - start:.1f} s): {said}")
    sys.stdout.flush()
print(f"{len(RUNS) - len(failures)} of {len(RUNS)} loops work" + (f"; not: {', '.join(failures)}" if failures else ""))
sys.stdout.flush()
sys.stderr.flush()
# background threads of the client would wait for their next heartbeat
os._exit(1 if failures else 0)
