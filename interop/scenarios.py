"""The calls of the official client that are recorded. record.py runs them, in the client's environment."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import os
import pickle
import sys
import tempfile
import threading
import time
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

# so that the client finds no stored key
os.environ["HOME"] = tempfile.mkdtemp()
warnings.filterwarnings("ignore")

import httpx
import numpy as np
import tinker
import zstandard
from pydantic import BaseModel
from tinker import types
from tinker.proto import tinker_public_pb2 as pb

from recording import Response, Recording, Request, steady

KEY = "tml-none"
IMAGE = bytes(range(256)) + b"\x89PNG"
DMEL = bytes([3, 2, 5, 2]) + bytes(10)


# --- values as the Python types hold them


def numbers(array: Any) -> Any:
    if array is None:
        return None
    return [None if isinstance(x, float) and not math.isfinite(x) else x for x in np.asarray(array).flatten().tolist()]


def plain(value: Any) -> Any:
    if isinstance(value, types.TensorData):
        out: dict[str, Any] = {"dtype": value.dtype, "shape": value.shape, "data": numbers(value.data)}
        if value.sparse_crow_indices is not None:
            out |= {"sparse_crow_indices": value.sparse_crow_indices, "sparse_col_indices": value.sparse_col_indices}
        return out
    if isinstance(value, types.SampleResponse):
        return {
            "sequences": [
                {
                    "stop_reason": s.stop_reason,
                    "tokens": s.tokens,
                    "logprobs": numbers(s.logprobs),
                    "topk_logprobs": s.topk_logprobs,
                    "sequence_id": s.sequence_id,
                }
                for s in value.sequences
            ],
            "prompt_logprobs": value.prompt_logprobs,
            "topk_prompt_logprobs": value.topk_prompt_logprobs,
            "target_prompt_logprobs": plain(value.target_prompt_logprobs),
            "prompt_alt_tokens": plain(value.prompt_alt_tokens),
            "prompt_cache_hit_tokens": value.prompt_cache_hit_tokens,
        }
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# --- responses of the service


def f32(*values: float) -> bytes:
    return np.asarray(values, dtype="<f4").tobytes()


def i32(*values: int) -> bytes:
    return np.asarray(values, dtype="<i4").tobytes()


def i64(*values: int) -> bytes:
    return np.asarray(values, dtype="<i8").tobytes()


def pass_output(datums: int) -> pb.ForwardBackwardOutput:
    """Outputs of every dtype, in one record."""
    out = pb.ForwardBackwardOutput(loss_fn_output_type="losses.records:CrossEntropyLossReturn")
    record = out.loss_fn_outputs.add(num_datums=datums)
    ends = list(range(datums + 1))
    record.fields["logprobs"].CopyFrom(
        pb.BatchedTensor(
            data=f32(*(-0.25 * i for i in range(3 * datums))),
            offsets=i64(*(12 * end for end in ends)),
            dtype=pb.DTYPE_FLOAT32,
        )
    )
    record.fields["wide"].CopyFrom(
        pb.BatchedTensor(
            data=i64(*(2**40 + i for i in range(2 * datums))),
            offsets=i64(*(16 * end for end in ends)),
            dtype=pb.DTYPE_INT64,
            trailing_shape=[2],
        )
    )
    record.fields["ids"].CopyFrom(
        pb.BatchedTensor(data=i32(*range(datums)), offsets=i64(*(4 * end for end in ends)), dtype=pb.DTYPE_INT32)
    )
    halves = (np.asarray([1.5, -2.0] * datums, dtype="<f4").view("<u4") >> 16).astype("<u2").tobytes()
    record.fields["halves"].CopyFrom(
        pb.BatchedTensor(data=halves, offsets=i64(*(4 * end for end in ends)), dtype=pb.DTYPE_BFLOAT16)
    )
    out.metrics["loss:sum"] = 1.5
    out.metrics["tokens:mean"] = 3.0
    return out


def ragged_output() -> pb.ForwardBackwardOutput:
    """Records of different trailing shapes."""
    out = pb.ForwardBackwardOutput(loss_fn_output_type="ArrayRecord")
    for columns in (2, 3):
        record = out.loss_fn_outputs.add(num_datums=1)
        record.fields["logprobs"].CopyFrom(
            pb.BatchedTensor(
                data=f32(*(-float(i) for i in range(3 * columns))),
                offsets=i64(0, 12 * columns),
                dtype=pb.DTYPE_FLOAT32,
                trailing_shape=[columns],
            )
        )
    out.metrics["loss:sum"] = -1.0
    return out


def bare_output(datums: int) -> pb.ForwardBackwardOutput:
    """Datums without fields."""
    out = pb.ForwardBackwardOutput(loss_fn_output_type="module:ArrayRecord")
    out.loss_fn_outputs.add(num_datums=datums)
    return out


def sample_output(samples: int, prompt: int, rich: bool) -> pb.SampleResponse:
    out = pb.SampleResponse(prompt_cache_hit_tokens=2)
    for i in range(samples):
        sequence = out.sequences.add(
            stop_reason=pb.STOP_REASON_LENGTH if i % 2 else pb.STOP_REASON_STOP,
            tokens=i32(*range(10, 13 + i)),
            logprobs=f32(*(-0.5 for _ in range(3 + i))),
        )
        if rich:
            sequence.topk_sampled_logprobs.CopyFrom(
                pb.TopkLogprobs(
                    token_ids=i32(*([10, 11] * (3 + i))), logprobs=f32(*([-0.5, -1.5] * (3 + i))), k=2, length=3 + i
                )
            )
    out.prompt_logprobs = f32(float("nan"), *(-1.0 - i for i in range(prompt - 1)))
    if rich:
        out.topk_prompt_logprobs.CopyFrom(
            pb.TopkLogprobs(
                token_ids=i32(0, 0, *([7, 0] + [8, 9] * (prompt - 2))),
                logprobs=f32(-99999, -99999, *([-0.5, -99999] + [-0.5, -1.5] * (prompt - 2))),
                k=2,
                length=prompt,
            )
        )
        out.target_prompt_logprobs.CopyFrom(
            pb.Tensor(
                sparse_csr=pb.SparseCsr(values=f32(-3.5), crow_indices=i64(*([0] * (prompt - 1) + [1])), col_indices=i64(0)),
                dtype=pb.DTYPE_FLOAT32,
                shape=[prompt - 1, 1],
            )
        )
        rows = 2 * (prompt - 1)
        out.prompt_alt_tokens.tokens.CopyFrom(
            pb.Tensor(dense=i64(*range(rows)), dtype=pb.DTYPE_INT64, shape=[prompt - 1, 2])
        )
        out.prompt_alt_tokens.logprobs.CopyFrom(
            pb.Tensor(dense=f32(*([-1.0] * rows)), dtype=pb.DTYPE_FLOAT32, shape=[prompt - 1, 2])
        )
    return out


CHECKPOINT = {
    "checkpoint_id": "weights/a",
    "checkpoint_type": "training",
    "time": "2026-05-27T20:00:00.090292Z",
    "tinker_path": "tinker://s-1:train:0/weights/a",
    "size_bytes": 123456789012,
    "public": False,
    "user_metadata": {"step": "7"},
    "expires_at": None,
    "base_model": "org/model",
}
RUN = {
    "training_run_id": "s-1:train:0",
    "base_model": "org/model",
    "model_owner": "tml:organization_user:0",
    "is_lora": True,
    "corrupted": False,
    "lora_rank": 8,
    "last_request_time": "2026-05-27T20:00:00Z",
    "last_checkpoint": CHECKPOINT,
    "last_sampler_checkpoint": None,
    "user_metadata": {"run": "nightly"},
}
CURSOR = {"offset": 0, "limit": 20, "total_count": 1}


class Service:
    """Responds to every request, and keeps the results of the futures that it created."""

    def __init__(self, flags: dict[str, Any] | None = None, dynamic: dict[str, Any] | None = None):
        self.flags, self.dynamic = flags or {}, dynamic or {}
        self.results: dict[str, Any] = {}
        self.waits: dict[str, list[Any]] = {}
        self.outputs: list[Any] = []
        self.delays: list[Any] = []
        self.completed: list[str] = []
        self.hold = threading.Event()
        self.count = 0
        self.recording = Recording(
            {
                "POST /client/config": lambda r: self.flags,
                "POST /client/dynamic_config": lambda r: {"refresh_interval_sec": 300, **self.dynamic},
                "POST /auth/token": lambda r: {"jwt": self.flags.get("token", "")},
                "GET /auth/apikey/me": lambda r: {
                    "key_id": 7,
                    "name": "laptop",
                    "note": "",
                    "details": {"org_details": {"name": "o"}, "user_details": {"email": "u@example.org"}},
                },
                "DELETE /auth/apikey/me": lambda r: Response(status=204),
                "POST /create_session": lambda r: {"type": "create_session", "session_id": "s-1", "info_message": "hello"},
                "POST /session_heartbeat": lambda r: {"type": "session_heartbeat"},
                "POST /sessions/*/finish": lambda r: Response(status=204),
                "POST /telemetry": lambda r: {"status": "accepted"},
                "GET /get_server_capabilities": lambda r: {
                    "supported_models": [
                        {"model_name": "org/model", "max_context_length": 32768, "trainable": True, "sampleable": True},
                        {"model_name": "org/other", "max_context_length": None},
                    ]
                },
                "POST /create_model": lambda r: self.future(
                    {"model_id": f"s-1:train:{r.json['model_seq_id']}", "type": "create_model"}
                ),
                "POST /get_info": lambda r: {
                    "type": "get_info",
                    "model_data": {"arch": None, "model_name": "org/model", "tokenizer_id": "org/tokenizer:v1"},
                    "model_id": r.json["model_id"],
                    "optimizer_config": {"type": "adamw"},
                    "is_lora": True,
                    "lora_rank": 8,
                    "model_name": "org/model",
                },
                "POST /forward_backward": lambda r: self.future(self.outputs.pop(0)),
                "POST /optim_step": lambda r: self.future({"metrics": {"unclipped_grad_l2:mean": 0.5}}),
                "POST /save_weights": lambda r: self.future(
                    {"path": f"tinker://s-1:train:0/weights/{r.json['path']}", "type": "save_weights"}
                ),
                "POST /save_weights_for_sampler": lambda r: self.future(
                    {"path": f"tinker://s-1:train:0/sampler_weights/{r.json['path']}", "size_bytes": None}
                    if "path" in r.json
                    else {"path": None, "sampling_session_id": "s-1:sample:0"}
                ),
                "POST /save_weights_external": lambda r: self.future(
                    {"path": f"tinker://s-1:train:0/external_weights/{r.json['path']}", "size_bytes": 99}
                ),
                "POST /load_weights": lambda r: self.future(
                    {"path": r.json["path"], "model_id": f"s-1:train:{r.json.get('model_seq_id', 0)}", "type": "load_weights"}
                ),
                "POST /copy_weights": lambda r: {"tinker_path": "tinker://s-2:train:0/weights/a"},
                "POST /weights_info": lambda r: {
                    "base_model": "org/model",
                    "optimizer_config": {"type": "adamw"},
                    "is_lora": True,
                    "lora_rank": 8,
                    "train_unembed": True,
                    "train_mlp": None,
                    "train_attn": False,
                },
                "POST /create_sampling_session": lambda r: {
                    "type": "create_sampling_session",
                    "sampling_session_id": f"s-1:sample:{r.json['sampling_session_seq_id']}",
                },
                "POST /join_sampling_session": lambda r: {"type": "join_sampling_session", "client_counter": 3},
                "POST /asample": self.sample,
                "POST /retrieve_future": self.retrieve,
                "POST /retrieve_futures": self.retrieve_many,
                "POST /cancel_future": lambda r: Response(status=204),
                "GET /samplers/*": lambda r: {"sampler_id": "s-1:sample:0", "base_model": "org/model", "model_path": None},
                "GET /training_runs": lambda r: {"training_runs": [RUN], "cursor": CURSOR},
                "GET /training_runs/*/checkpoints": lambda r: {"checkpoints": [CHECKPOINT], "cursor": None},
                "GET /training_runs/*/external_weights_urls": lambda r: {
                    "urls": {"adapter_config.json": "http://127.0.0.1/signed"},
                    "expires": "2026-05-27T21:00:00Z",
                },
                "GET /training_runs/*": lambda r: RUN,
                "GET /checkpoints": lambda r: {"checkpoints": [CHECKPOINT], "cursor": {**CURSOR, "limit": 100}},
                "DELETE /training_runs/*/publish": lambda r: Response(status=204),
                "DELETE /training_runs/*": lambda r: Response(status=204),
                "POST /training_runs/*/publish": lambda r: Response(status=204),
                "PUT /training_runs/*/ttl": lambda r: Response(status=204),
                "GET /sessions": lambda r: {"sessions": ["s-1", "s-2"]},
                "POST /sessions/search": lambda r: {
                    "sessions": [
                        {
                            "session_id": "s-1",
                            "created_at": "2026-05-27T20:00:00Z",
                            "owner": "o",
                            "project_id": "p",
                            "status": status,
                            "checkpoints_count": 2,
                            "display_name": "nightly",
                            "user_metadata": None,
                            "checkpoint_storage_bytes": 5,
                        }
                        for status in (
                            {"type": "active"},
                            {"type": "cancelled", "detail": None},
                            {"type": "client_finished", "reason": {"type": "success"}, "detail": "done"},
                            {
                                "type": "failed",
                                "category": "user",
                                "reason": {"type": "request", "request_id": "1", "request_type": "Sample"},
                                "message": "no",
                            },
                            None,
                        )
                    ],
                    "next_cursor": {"last_created_at": "2026-05-27T20:00:00.123456Z", "last_session_id": "s-1"},
                },
                "GET /sessions/*/trace_export": lambda r: {"status": "ready", "url": "http://127.0.0.1/trace", "error": None},
                "PUT /sessions/*/project": lambda r: Response(status=204),
                "GET /sessions/*": lambda r: {
                    "training_run_ids": ["s-1:train:0"],
                    "sampler_ids": ["s-1:sample:0"],
                    "user_metadata": {"a": "b"},
                    "display_name": None,
                },
                "GET /audit": lambda r: {
                    "entries": [
                        {
                            "timestamp": "2026-05-27T20:00:00Z",
                            "event": "checkpoint_read",
                            "event_details": {"actor": {"id": 1}},
                            "model_id": "s-1:train:0",
                            "tinker_path": None,
                            "purpose": None,
                        }
                    ]
                },
                "GET /billing/usage/events": lambda r: {
                    "data": [
                        {
                            "bucket_start": "2026-05-27T20:00:00Z",
                            "bucket_end": "2026-05-27T21:00:00Z",
                            "base_model": "org/model",
                            "session_id": "s-1",
                            "estimated_cost_usd": 0.25,
                            "event_info": info,
                        }
                        for info in (
                            {"type": "training", "token_count": 5},
                            {"type": "sampling_prefill", "cached": True, "token_count": 6},
                            {"type": "sampling_sample", "token_count": 7},
                            {"type": "checkpoint", "count": 1},
                            {"type": "storage", "free": True, "gigabyte_hours": 1.5},
                        )
                    ],
                    "sessions": {"s-1": {"user_metadata": {"a": "b"}}},
                    "cost_data_through": "2026-05-27T00:00:00Z",
                },
                "GET /billing/usage/checkpoints/current": lambda r: {
                    "effective_rate_usd_per_gigabyte_month": 0.1,
                    "data": [{"project_id": "p", "checkpoint_count": 1, "size_bytes": 2, "size_gigabytes": 0.5}],
                },
            }
        )
        self.last = self.recording.last
        self.url = self.recording.url

    def future(self, result: Any, **more: Any) -> dict[str, Any]:
        self.count += 1
        name = f"r-{self.count}"
        self.results[name] = result
        self.waits[name] = self.delays
        self.delays = []
        return {"request_id": name, "model_id": None, **more}

    def sample(self, request: Request) -> dict[str, Any]:
        body = request.json
        prompt = sum(len(chunk.get("tokens", [0] * 4)) for chunk in body["prompt"]["chunks"])
        rich = body["topk_prompt_logprobs"] > 0
        envelope = self.future(
            sample_output(body["num_samples"], max(prompt, 2), rich),
            sample_sequence_ids=[f"{body['sampling_session_id']}:{body['seq_id']}:{i}" for i in range(body["num_samples"])],
        )
        self.completed.append(envelope["request_id"])
        return envelope

    def retrieve(self, request: Request) -> Any:
        name = request.json["request_id"]
        if self.waits.get(name):
            return self.waits[name].pop(0)
        if self.results[name] == "never":
            time.sleep(0.2)
            return {"type": "try_again", "request_id": name, "queue_state": "active"}
        result = self.results[name]
        return result if isinstance(result, (dict, Response)) else result.SerializeToString(deterministic=True)

    def retrieve_many(self, request: Request) -> Any:
        cursor = request.json["prev_cursor"]
        if cursor >= len(self.completed):
            time.sleep(0.1)
        done = self.completed[cursor:]
        return {
            "completions": [
                {"state": "finished", "request_id": name, "response_payload_uncompressed_size": 64} for name in done
            ],
            "cursor": len(self.completed),
        }


def in_order(request: dict[str, Any]) -> dict[str, Any]:
    """The same message with the entries of its maps sorted: the client writes them in any order."""
    compressed = request["headers"].get("content-encoding") == "zstd"
    sent = base64.b64decode(request["base64"])
    if compressed:
        sent = zstandard.ZstdDecompressor().decompress(sent)
    ordered = pb.ForwardBackwardRequest.FromString(sent).SerializeToString(deterministic=True)
    assert len(ordered) == len(sent)
    if compressed:
        ordered = zstandard.ZstdCompressor().compress(ordered)
    return request | {"base64": base64.b64encode(ordered).decode()}


class Fixtures:
    def __init__(self, folder: Path):
        self.folder = folder
        self.files: dict[str, list[dict[str, Any]]] = {}

    def add(self, file: str, name: str, exchange: dict[str, Any], value: Any = None) -> None:
        entry = {"name": name, **exchange}
        if "base64" in exchange.get("request", {}):
            entry["request"] = in_order(exchange["request"])
        if value is not None:
            entry["value"] = steady(plain(value))
        self.files.setdefault(file, []).append(entry)

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for file, exchanges in self.files.items():
            body = {"client": f"tinker {version('tinker')}", "exchanges": exchanges}
            text = json.dumps(body, indent=1, ensure_ascii=False)
            (self.folder / f"{file}.json").write_text(text + "\n")

    def write_value(self, file: str, value: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{file}.json").write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


# --- scenarios


def supervised(tokens: list[int]) -> types.Datum:
    return types.Datum(
        model_input=types.ModelInput.from_ints(tokens),
        loss_fn_inputs={"target_tokens": [t + 1 for t in tokens], "weights": [0.0] + [1.0] * (len(tokens) - 1)},
    )


def training(fixtures: Fixtures) -> None:
    service = Service({"pjwt_auth_enabled": False})
    client = tinker.ServiceClient(
        base_url=service.url, api_key=KEY, user_metadata={"a": "b"}, project_id="p", display_name="nightly"
    )
    trainer = client.create_lora_training_client(
        "org/model", rank=8, seed=1, train_unembed=False, user_metadata={"run": "nightly"}
    ).result()

    def add(name: str, path: str, value: Any = None) -> None:
        fixtures.add("training", name, service.last(path), value)

    fixtures.add("session", "client config", service.last("/client/config"))
    fixtures.add("session", "dynamic config", service.last("/client/dynamic_config"))
    fixtures.add("session", "create session", service.last("/create_session"))
    add("create model", "/create_model")
    add("the result of create model", "/retrieve_future")
    add("get info", "/get_info", trainer.get_info())

    def run(name: str, output: Any, call: Any) -> None:
        service.outputs.append(output)
        result = call().result()
        add(name, "/forward_backward")
        add(f"the result of {name}", "/retrieve_future", result)

    run(
        "cross entropy",
        pass_output(2),
        lambda: trainer.forward_backward([supervised([1, 2, 3]), supervised([70000, 5, 6, 7])], "cross_entropy"),
    )
    run("forward", pass_output(1), lambda: trainer.forward([supervised([1, 2, 3])], "cross_entropy"))
    run("no fields", bare_output(2), lambda: trainer.forward([supervised([1, 2])] * 2, "cross_entropy"))
    policy = types.Datum(
        model_input=types.ModelInput.from_ints([1, 2, 3]),
        loss_fn_inputs={
            "target_tokens": np.asarray([2, 3, 4]),
            "logprobs": np.asarray([-0.5, -0.25, -1.0], dtype=np.float32),
            "advantages": [1.0, -1.0, 0.5],
        },
    )
    run(
        "ppo with a config",
        pass_output(1),
        lambda: trainer.forward_backward([policy], "ppo", {"clip_low_threshold": 0.9, "clip_high_threshold": 1.1}),
    )
    run(
        "a config with text",
        pass_output(1),
        lambda: trainer.forward_backward([policy], "custom", {"loss_id": "l-1", "beta": 0.05}),
    )
    mixed = types.Datum(
        model_input=types.ModelInput(
            chunks=[
                types.EncodedTextChunk(tokens=[1, 2]),
                types.ImageChunk(data=IMAGE, format="png", expected_tokens=4),
                types.ImageChunk(data=IMAGE[:5], format="jpeg"),
                types.DmelChunk(dmel=DMEL),
                types.EncodedTextChunk(tokens=[]),
            ]
        ),
        loss_fn_inputs={"target_tokens": [0] * 11, "weights": [0.0] * 11},
    )
    run("every chunk", ragged_output(), lambda: trainer.forward_backward([mixed] * 2, "cross_entropy"))
    sparse = types.Datum(
        model_input=types.ModelInput.from_ints([1, 2, 3]),
        loss_fn_inputs={
            "target_tokens": types.TensorData(
                data=[2**40, 7],
                dtype="int64",
                shape=[3, 8],
                sparse_crow_indices=[0, 1, 1, 2],
                sparse_col_indices=[4, 0],
            ),
            "weights": [[0.5, 0.5]] * 3,
        },
    )
    run("sparse and two-dimensional tensors", pass_output(1), lambda: trainer.forward_backward([sparse], "cross_entropy"))
    spans = supervised([1, 2, 3]).with_provenance(
        [
            types.PromptProvenanceSpan(sequence_id="s-1:sample:0:0:0", offset=2, length=2),
            types.SampledProvenanceSpan(sequence_id="s-1:sample:0:0:0", length=1),
        ],
        [types.SampledProvenanceSpan(sequence_id="s-1:sample:0:0:0", offset=0, length=3)],
    )
    run("provenance", pass_output(1), lambda: trainer.forward_backward([spans], "stable_reinforce", {"kl_coeff": 0.1}))

    stepped = trainer.optim_step(types.AdamParams(learning_rate=2e-4, grad_clip_norm=1.0)).result()
    add("adam", "/optim_step")
    add("the result of adam", "/retrieve_future", stepped)
    trainer.optim_step(types.DimuonParams(learning_rate=0.02)).result()
    add("dimuon", "/optim_step")

    service.delays = [
        {"type": "try_again", "request_id": "r", "queue_state": "paused_capacity", "queue_state_reason": "busy"},
        {"status": "complete_metadata", "response_payload_size": 4096},
    ]
    trainer.save_state("a", ttl_seconds=86400, overwrite=True, user_metadata={"step": "7"}).result()
    add("save", "/save_weights")
    for name, exchange in zip(
        ("not yet", "large", "the result of save"), service.recording.all("/retrieve_future")[-3:], strict=True
    ):
        fixtures.add("training", name, exchange)
    trainer.save_weights_for_sampler("b").result()
    add("save for sampling", "/save_weights_for_sampler")
    add("the result of save for sampling", "/retrieve_future")
    trainer.save_weights_and_get_sampling_client(kind="inflight").result()
    add("save for sampling, without a name", "/save_weights_for_sampler")
    add("the result of save for sampling, without a name", "/retrieve_future")
    trainer.save_weights_external("c", ttl_seconds=3600, age_encryption_recipients=["age1recipient"]).result()
    add("save for other programs", "/save_weights_external")
    add("the result of save for other programs", "/retrieve_future")

    service.outputs.append({"error": "no such token", "category": "user"})
    try:
        trainer.forward_backward([supervised([1, 2])], "cross_entropy").result()
    except tinker.RequestFailedError as error:
        add("a failure", "/retrieve_future", {"message": str(error), "category": error.category})

    path = "tinker://s-1:train:0/weights/a"
    client.create_training_client_from_state(path, user_metadata={"from": "a"}).result()
    add("create from weights", "/load_weights")
    add("the result of create from weights", "/retrieve_future")
    client.create_training_client_from_state_with_optimizer(path, weights_access_token="another-account").result()
    add("create from weights and optimizer", "/load_weights")
    client.copy_weights(path, ttl_seconds=3600).result()
    add("copy weights", "/copy_weights")
    client.close("success", detail="done").result()
    fixtures.add("session", "finish", service.last("/sessions/s-1/finish"))
    fixtures.add("session", "telemetry", service.last("/telemetry"))

    service = Service({"proto_compress_fwdbwd": True})
    client = tinker.ServiceClient(base_url=service.url, api_key=KEY)
    trainer = client.create_lora_training_client("org/model", rank=8).result()
    service.outputs.append(pass_output(2))
    trainer.forward_backward([supervised(list(range(300)))] * 2, "cross_entropy").result()
    add("a compressed pass", "/forward_backward")
    client.close("success").result()


def sampling(fixtures: Fixtures) -> None:
    service = Service()
    client = tinker.ServiceClient(base_url=service.url, api_key=KEY)
    sampler = client.create_sampling_client(model_path="tinker://s-1:train:0/sampler_weights/b").result()
    add = lambda name, path, value=None: fixtures.add("sampling", name, service.last(path), value)
    add("create sampling session", "/create_sampling_session")
    add("get sampler", "/samplers/s-1:sample:0")

    def sample(name: str, *args: Any, **kwargs: Any) -> None:
        result = sampler.sample(*args, **kwargs).result()
        add(name, "/asample")
        add(f"the result of {name}", "/retrieve_future", result)

    prompt = types.ModelInput.from_ints([1, 2, 3, 4])
    sample("sample", prompt, 2, types.SamplingParams(max_tokens=16, temperature=0.7, stop=["\n", "é"]))
    sample("stop tokens", prompt, 1, types.SamplingParams(max_tokens=4, seed=7, stop=[5, 6], top_k=3, top_p=0.9))
    sample("stop text", prompt, 1, types.SamplingParams(max_tokens=4, stop="x"))
    sample("stop nowhere", prompt, 1, types.SamplingParams(max_tokens=4, stop=[]))
    sample("as little as can be said", prompt, 1, types.SamplingParams())
    sample(
        "everything",
        prompt,
        2,
        types.SamplingParams(max_tokens=8),
        include_prompt_logprobs=True,
        topk_prompt_logprobs=2,
        topk_sample_logprobs=2,
        target_prompt_logprobs=types.TensorData(
            data=[9], dtype="int64", shape=[3, 1], sparse_crow_indices=[0, 0, 0, 1], sparse_col_indices=[0]
        ),
        prompt_alt_tokens_k=2,
    )
    chunks = types.ModelInput(
        chunks=[
            types.EncodedTextChunk(tokens=[1]),
            types.ImageChunk(data=IMAGE, format="png", expected_tokens=4),
            types.ImageAssetPointerChunk(format="jpeg", location="bucket/a.jpeg", expected_tokens=9),
            types.DmelChunk(dmel=DMEL),
        ]
    )
    sample("every chunk", chunks, 1, types.SamplingParams(max_tokens=1))
    value = sampler.compute_logprobs(prompt).result()
    add("compute logprobs", "/asample", {"logprobs": value})
    client.close("interrupted").result()
    fixtures.add("session", "finish without detail", service.last("/sessions/s-1/finish"))

    # one poll for a session, cancellation, and copies of a client
    service = Service(
        {"sample_use_retrieve_futures": True, "sample_join_sampling_session": True},
        {"sample_cancel_enabled": True, "sample_cancel_max_batch_size": 8},
    )
    client = tinker.ServiceClient(base_url=service.url, api_key=KEY)
    sampler = client.create_sampling_client(base_model="org/model").result()
    add("create sampling session on a base model", "/create_sampling_session")
    fixtures.add("session", "client config with flags", service.last("/client/config"))
    fixtures.add("session", "dynamic config with flags", service.last("/client/dynamic_config"))
    sampler.sample(prompt, 1, types.SamplingParams(max_tokens=4)).result()
    add("retrieve futures", "/retrieve_futures")
    copy = pickle.loads(pickle.dumps(sampler))
    copy.sample(prompt, 1, types.SamplingParams(max_tokens=4)).result()
    add("join sampling session", "/join_sampling_session")
    add("sample of a copy", "/asample")
    later = [e for e in service.recording.all("/retrieve_futures") if e["request"]["json"]["retrieved_request_ids"]]
    deadline = time.monotonic() + 5
    while not later and time.monotonic() < deadline:
        time.sleep(0.1)
        later = [e for e in service.recording.all("/retrieve_futures") if e["request"]["json"]["retrieved_request_ids"]]
    fixtures.add("sampling", "acknowledge futures", later[0])
    held = service.sample
    service.recording.routes["POST /asample"] = lambda r: service.future("never", sample_sequence_ids=["x"])
    future = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=4))
    time.sleep(0.5)
    future.future().cancel()
    deadline = time.monotonic() + 5
    while not service.recording.all("/cancel_future") and time.monotonic() < deadline:
        time.sleep(0.1)
    add("cancel", "/cancel_future")
    service.recording.routes["POST /asample"] = held
    client.close("errored", detail="cancelled").result()


def rest(fixtures: Fixtures) -> None:
    service = Service()
    client = tinker.RestClient(base_url=service.url, api_key=KEY)
    admin = tinker.AdminClient(base_url=service.url, api_key=KEY)
    run = "s-1:train:0"
    path = f"tinker://{run}/sampler_weights/b"
    below = f"/training_runs/{run}"

    def call(name: str, future: Any, where: str) -> None:
        fixtures.add("rest", name, service.last(where) if future is None else dict(_wait(future, service, where)[0]))

    def _wait(future: Any, service: Service, where: str) -> tuple[dict[str, Any]]:
        value = future.result()
        exchange = dict(service.last(where))
        if value is not None:
            exchange["value"] = steady(plain(value))
        return (exchange,)

    call("capabilities", client.get_server_capabilities(), "/get_server_capabilities")
    call("list training runs", client.list_training_runs(project_id="p"), "/training_runs")
    call("get training run", client.get_training_run(run, access_scope="accessible"), below)
    call("list checkpoints", client.list_checkpoints(run), f"{below}/checkpoints")
    call("list user checkpoints", client.list_user_checkpoints(limit=50, offset=10), "/checkpoints")
    call("weights info", client.get_weights_info_by_tinker_path(path), "/weights_info")
    call("get sampler", client.get_sampler("s-1:sample:0"), "/samplers/s-1:sample:0")
    call("delete checkpoint", client.delete_checkpoint_from_tinker_path(path), f"{below}/checkpoints/sampler_weights/b")
    published = f"{below}/checkpoints/sampler_weights/b/publish"
    call("publish", client.publish_checkpoint_from_tinker_path(path), published)
    call("unpublish", client.unpublish_checkpoint_from_tinker_path(path), published)
    ttl = f"{below}/checkpoints/sampler_weights/b/ttl"
    call("set ttl", client.set_checkpoint_ttl_from_tinker_path(path, 86400), ttl)
    call("remove ttl", client.set_checkpoint_ttl_from_tinker_path(path, None), ttl)
    call(
        "external weights urls",
        client.get_external_weights_urls(f"tinker://{run}/external_weights/c"),
        f"{below}/checkpoints/external_weights/c/external_weights_urls",
    )
    copied = client.copy_weights(path, "p-2", weights_access_token="another-account")
    call("copy weights", copied, "/copy_weights")
    call("list sessions", client.list_sessions(), "/sessions")
    call("get session", client.get_session("s-1"), "/sessions/s-1")
    call("assign project", client.assign_session_project("s-1", "p-2"), "/sessions/s-1/project")
    call("export trace", client.export_session_trace("s-1"), "/sessions/s-1/trace_export")
    search = types.SessionSearchRequest(
        display_name="night",
        user_metadata={"a": "b"},
        owner=types.UserSearchOwner(owner_urns=["u-1"]),
        statuses=[
            types.ActiveSessionStatusQuery(),
            types.ClientFinishedSessionStatusQuery(reasons=["success", "errored"]),
        ],
        limit=10,
        cursor=types.SessionSearchCursor(last_created_at="2026-05-27T20:00:00.123456Z", last_session_id="s-0"),
    )
    call("search sessions", client.search_sessions(search), "/sessions/search")
    call("search sessions, by default", client.search_sessions(types.SessionSearchRequest()), "/sessions/search")
    call("audit log", admin.get_audit_log("projects", date(2026, 5, 27)), "/audit")
    call("billing", admin.get_billing_usage("2026-05-27T00:00:00Z", "2026-05-28T00:00:00Z"), "/billing/usage/events")
    storage = "/billing/usage/checkpoints/current"
    call("checkpoint storage", admin.get_current_checkpoint_storage_usage("p"), storage)

    from tinker.cli.auth_api import TinkerAuthApi

    with httpx.Client() as http:
        api = TinkerAuthApi(http, base_url=service.url)
        value = api.get_self_api_key(KEY)
        fixtures.add("rest", "api key", service.last("/auth/apikey/me"), value)
        api.delete_self_api_key(KEY)
        fixtures.add("rest", "delete api key", service.last("/auth/apikey/me"))


def token(fixtures: Fixtures) -> None:
    """The key is exchanged for a token, of which the fixture keeps only the claims."""
    now = int(time.time())
    claims = {"exp": now + 3600, "iat": now, "sub": "u-1", "iss": "passport-x", "email": "", "org_id": "7"}
    encode = lambda part: base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    jwt = f"{encode({'alg': 'none'})}.{encode(claims)}."
    service = Service({"pjwt_auth_enabled": True, "credential_default_source": "api_key", "token": jwt})
    client = tinker.RestClient(base_url=service.url, api_key=KEY)
    client.list_sessions().result()
    exchange = service.last("/auth/token")
    exchange["response"]["json"] = {"jwt": "a.token.signed"}
    fixtures.add("session", "token", exchange)
    whoami = plain(client.whoami().result())
    fixtures.add("session", "who am i", {"claims": {**claims, "exp": 1, "iat": 0}}, whoami)


def schema() -> dict[str, Any]:
    """The messages of the official client: number, name and type of every field."""
    kinds = {
        value: name.removeprefix("TYPE_").lower()
        for name, value in vars(type(pb.Datum.DESCRIPTOR.fields[0])).items()
        if name.startswith("TYPE_")
    }

    def message(descriptor: Any) -> dict[str, Any]:
        fields = {}
        for field in descriptor.fields:
            target = field.message_type or field.enum_type
            fields[field.name] = {
                "number": field.number,
                "type": target.full_name if target else kinds[field.type],
                "repeated": field.is_repeated,
                "oneof": field.containing_oneof.name if field.containing_oneof else None,
            }
        return {"fields": fields} | {
            "nested": {nested.name: message(nested) for nested in descriptor.nested_types if nested.fields}
        }

    file = pb.DESCRIPTOR
    return {
        "package": file.package,
        "messages": {name: message(descriptor) for name, descriptor in file.message_types_by_name.items()},
        "enums": {
            name: {value.name: value.number for value in descriptor.values}
            for name, descriptor in file.enum_types_by_name.items()
        },
    }


def main() -> None:
    fixtures = Fixtures(Path(sys.argv[1]))
    training(fixtures)
    sampling(fixtures)
    rest(fixtures)
    token(fixtures)
    fixtures.write()
    fixtures.write_value("schema", schema())
    total = sum(len(exchanges) for exchanges in fixtures.files.values())
    print(f"{total} exchanges of tinker {version('tinker')} recorded")
    sys.stdout.flush()
    # background threads of the client would wait for their next heartbeat
    os._exit(0)


if __name__ == "__main__":
    main()
