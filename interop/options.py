"""Every option of `sample`, in the official client, with the values that it must give. loop.py and cookbook.py run it.

A value is compared with the logprob of one token after one context, which `compute_logprobs` gives, and the logprobs of
a prompt with those of a forward pass of training.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np
from tinker import types


def close(found: float, expected: float, where: str) -> None:
    assert abs(found - expected) < 2e-3, f"{where}: {found}, expected {expected}"


class Options:
    """`text` is the text of tokens. The prompt has four tokens."""

    def __init__(self, trainer: Any, sampler: Any, prompt: Sequence[int], text: Callable[[Sequence[int]], str]):
        self.trainer, self.sampler, self.text = trainer, sampler, text
        self.tokens = list(prompt)
        self.prompt = types.ModelInput.from_ints(self.tokens)

    def sample(self, params: dict[str, Any], num_samples: int = 1, **options: Any) -> types.SampleResponse:
        return self.sampler.sample(self.prompt, num_samples, types.SamplingParams(**params), **options).result()

    def after(self, context: Sequence[int], token: int) -> float:
        scored = self.sampler.compute_logprobs(types.ModelInput.from_ints([*context, token])).result()
        return scored[-1]

    def greedy(self, max_tokens: int = 6) -> types.SampledSequence:
        return self.sample({"max_tokens": max_tokens, "temperature": 0.0}).sequences[0]

    def include_prompt_logprobs(self) -> str:
        response = self.sample({"max_tokens": 1}, include_prompt_logprobs=True)
        assert response.prompt_logprobs[0] is None and len(response.prompt_logprobs) == len(self.tokens)
        datum = types.Datum(
            model_input=types.ModelInput.from_ints(self.tokens[:-1]),
            loss_fn_inputs={"target_tokens": self.tokens[1:], "weights": [1.0] * (len(self.tokens) - 1)},
        )
        trained = self.trainer.forward([datum], "cross_entropy").result().loss_fn_outputs[0]["logprobs"].data
        for i, expected in enumerate(trained):
            close(response.prompt_logprobs[i + 1], expected, f"prompt_logprobs[{i + 1}]")
        return str([round(x, 4) for x in response.prompt_logprobs[1:]])

    def topk_prompt_logprobs(self) -> str:
        response = self.sample({"max_tokens": 1}, include_prompt_logprobs=True, topk_prompt_logprobs=3)
        rows = response.topk_prompt_logprobs
        assert rows[0] is None and len(rows) == len(self.tokens)
        for i in range(1, len(rows)):
            self.check_top(rows[i], self.tokens[:i], f"topk_prompt_logprobs[{i}]", 3)
        return str(rows[1])

    def check_top(self, row: Any, context: Sequence[int], where: str, k: int) -> None:
        assert len(row) == k and len({token for token, _ in row}) == k, where
        values = [logprob for _, logprob in row]
        assert values == sorted(values, reverse=True), where
        for token, logprob in row:
            close(logprob, self.after(context, token), f"{where} of {token}")

    def topk_sample_logprobs(self) -> str:
        response = self.sample({"max_tokens": 3, "temperature": 0.0}, topk_sample_logprobs=2)
        sequence = response.sequences[0]
        assert len(sequence.topk_logprobs) == len(sequence.tokens) == 3
        for i, row in enumerate(sequence.topk_logprobs):
            self.check_top(row, [*self.tokens, *sequence.tokens[:i]], f"topk_logprobs[{i}]", 2)
            assert row[0][0] == sequence.tokens[i], "a greedy token is the most likely one"
            close(sequence.logprobs[i], row[0][1], f"logprobs[{i}]")
        return str(sequence.topk_logprobs[0])

    def target_prompt_logprobs(self) -> str:
        rows = len(self.tokens) - 1
        ids = np.full((rows, 2), -1, dtype=np.int64)
        ids[0, 1], ids[rows - 1, 0], ids[rows - 1, 1] = 5, 6, 7
        dense = self.sample({"max_tokens": 1}, target_prompt_logprobs=types.TensorData.from_numpy(ids))
        assert dense.target_prompt_logprobs.shape == [rows, 2] and dense.target_prompt_logprobs.dtype == "float32"
        found = np.asarray(dense.target_prompt_logprobs.data).reshape(rows, 2)
        for i in range(rows):
            for j in range(2):
                expected = 0.0 if ids[i, j] < 0 else self.after(self.tokens[: i + 1], int(ids[i, j]))
                close(found[i, j], expected, f"target_prompt_logprobs[{i}][{j}]")
        sparse = types.TensorData(
            data=[5, 6, 7],
            dtype="int64",
            shape=[rows, 2],
            sparse_crow_indices=[0, *[1] * (rows - 1), 3],
            sparse_col_indices=[1, 0, 1],
        )
        again = self.sample({"max_tokens": 1}, target_prompt_logprobs=sparse).target_prompt_logprobs
        assert again.sparse_crow_indices == sparse.sparse_crow_indices and again.sparse_col_indices == [1, 0, 1], again
        for value, expected in zip(again.data, [found[0, 1], found[rows - 1, 0], found[rows - 1, 1]], strict=True):
            close(value, expected, "sparse target_prompt_logprobs")
        return str(again.data)

    def prompt_alt_tokens(self) -> str:
        params = {"max_tokens": 1, "seed": 5, "temperature": 0.8}
        drawn = self.sample(params, prompt_alt_tokens_k=3).prompt_alt_tokens
        rows = len(self.tokens) - 1
        assert drawn.tokens.shape == drawn.logprobs.shape == [rows, 3] and drawn.tokens.dtype == "int64"
        for i in range(rows * 3):
            expected = self.after(self.tokens[: i // 3 + 1], int(drawn.tokens.data[i]))
            close(drawn.logprobs.data[i], expected, f"prompt_alt_tokens.logprobs[{i}]")
        again = self.sample(params, prompt_alt_tokens_k=3).prompt_alt_tokens
        assert list(again.tokens.data) == list(drawn.tokens.data), "an equal seed gives equal draws"
        greedy = self.sample({**params, "temperature": 0.0}, prompt_alt_tokens_k=2, topk_prompt_logprobs=1,
                             include_prompt_logprobs=True)  # fmt: skip
        likely = [row[0][0] for row in greedy.topk_prompt_logprobs[1:]]
        assert list(greedy.prompt_alt_tokens.tokens.data) == [token for token in likely for _ in range(2)]
        return str(list(drawn.tokens.data))

    def prompt_logprobs_last_n(self) -> str:
        whole = self.sampler.compute_logprobs(self.prompt).result()
        last = self.sampler.compute_logprobs(self.prompt, 2).result()
        assert last[:-2] == [None] * (len(self.tokens) - 2), last
        for found, expected in zip(last[-2:], whole[-2:], strict=True):
            close(found, expected, "prompt_logprobs_last_n")
        both = self.sample(
            {"max_tokens": 1}, include_prompt_logprobs=True, topk_prompt_logprobs=1, prompt_logprobs_last_n=1
        )
        assert both.topk_prompt_logprobs[:-1] == [None] * (len(self.tokens) - 1) and both.topk_prompt_logprobs[-1]
        return str(last)

    def seeds(self) -> str:
        params = {"max_tokens": 6, "temperature": 1.0, "seed": 11}
        four = [s.tokens for s in self.sample(params, 4).sequences]
        assert [s.tokens for s in self.sample(params, 4).sequences] == four
        assert [s.tokens for s in self.sample(params, 2).sequences] == four[:2], "a sample does not depend on the others"
        assert len({tuple(tokens) for tokens in four}) == 4, four
        assert [s.tokens for s in self.sample({**params, "seed": 12}, 4).sequences] != four
        return str(four[0])

    def distribution(self) -> str:
        greedy = self.greedy().tokens
        for params in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}):
            sampled = self.sample({"max_tokens": 6, "seed": 3, **params}).sequences[0]
            assert sampled.tokens == greedy, (params, sampled.tokens, greedy)
        first = {token for token, _ in self.sample(
            {"max_tokens": 1, "temperature": 0.0}, topk_sample_logprobs=2).sequences[0].topk_logprobs[0]}  # fmt: skip
        many = self.sample({"max_tokens": 1, "seed": 1, "top_k": 2}, 32).sequences
        assert {s.tokens[0] for s in many} == first, "top_k 2 draws the two most likely tokens, and both"
        context = list(self.tokens)
        for i, token in enumerate(greedy):
            close(self.greedy().logprobs[i], self.after(context, token), f"logprobs[{i}]")
            context.append(token)
        return str(greedy)

    def stops(self) -> str:
        whole = self.greedy(8)
        assert whole.stop_reason == "length" and len(whole.tokens) == 8, whole
        token = whole.tokens[2]
        end = whole.tokens.index(token) + 1
        string = self.text(whole.tokens[2:4])
        until = next(n for n in range(1, 9) if string in self.text(whole.tokens[:n]))
        forms: list[tuple[Any, int]] = [([token], end), (string, until), ([string, "\x00never"], until)]
        for stop, length in forms:
            found = self.sample({"max_tokens": 8, "temperature": 0.0, "stop": stop}).sequences[0]
            assert found.stop_reason == "stop" and found.tokens == whole.tokens[:length], (stop, found, whole.tokens)
        never = self.sample({"max_tokens": 8, "temperature": 0.0, "stop": []}).sequences[0]
        assert never.stop_reason == "length" and never.tokens == whole.tokens, never
        return f"{token}, {string!r}"

    def all(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("include_prompt_logprobs", self.include_prompt_logprobs),
            ("topk_prompt_logprobs", self.topk_prompt_logprobs),
            ("topk_sample_logprobs", self.topk_sample_logprobs),
            ("target_prompt_logprobs, dense and sparse", self.target_prompt_logprobs),
            ("prompt_alt_tokens_k", self.prompt_alt_tokens),
            ("prompt_logprobs_last_n", self.prompt_logprobs_last_n),
            ("seeds", self.seeds),
            ("temperature, top_k, top_p", self.distribution),
            ("stop as tokens, a string, strings, and none", self.stops),
        ]
