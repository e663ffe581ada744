"""Runs every operation of the unmodified official client against a service. main.ts runs it, in the client's environment.

python loop.py URL KEY
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import urllib.error
import urllib.request
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable

# so that the client finds no stored key
os.environ["HOME"] = tempfile.mkdtemp()
for name in list(os.environ):
    if name.startswith(("TINKER_", "CLOUDFLARE_")):
        del os.environ[name]
warnings.filterwarnings("ignore")

import numpy as np
import tinker
from tinker import types

from options import Options

URL, KEY = sys.argv[1], sys.argv[2]
failures: list[str] = []


def step(name: str, call: Callable[[], Any]) -> Any:
    """Runs one step and prints its outcome. A failure does not stop the steps behind it."""
    start = time.monotonic()
    try:
        said = call()
    except Exception as error:
        failures.append(name)
        print(f"FAILED  {name}: {type(error).__name__}: {error}")
        traceback.print_exc(limit=4)
        return None
    took = (time.monotonic() - start) * 1000
    print(f"ok      {name} ({took:.0f} ms){f': {said}' if isinstance(said, str) else ''}")
    return said


def datum(tokens: list[int]) -> types.Datum:
    return types.Datum(
        model_input=types.ModelInput.from_ints(tokens[:-1]),
        loss_fn_inputs={"target_tokens": tokens[1:], "weights": [1.0] * (len(tokens) - 1)},
    )


def fails(status: int, call: Callable[[], Any]) -> str:
    try:
        call()
    except tinker.APIStatusError as error:
        assert error.status_code == status, f"{error.status_code}: {error}"
        return str(error)[:100]
    raise AssertionError(f"nothing failed, and {status} was expected")


def conflicts(path: str, body: Any) -> str:
    """Expects a 409. It is sent without the official client, which retries a 409 for five minutes."""
    request = urllib.request.Request(
        f"{URL}/api/v1{path}",
        data=json.dumps(body).encode(),
        headers={"X-API-Key": KEY, "Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        assert error.code == 409 and error.headers["x-should-retry"] == "false", error
        return json.loads(error.read())["detail"]
    raise AssertionError("nothing conflicts")


client = tinker.ServiceClient(
    base_url=URL, api_key=KEY, user_metadata={"suite": "interop"}, display_name="interop run", project_id="p"
)
data = [datum([1, 2, 3, 4, 5, 6]), datum([7, 8, 9, 10])]
prompt = types.ModelInput.from_ints([1, 2, 3])
state: dict[str, Any] = {}


# --- training


def capabilities() -> str:
    models = client.get_server_capabilities().supported_models
    state["base"] = models[0].model_name
    return f"{state['base']}, {models[0].max_context_length} tokens"


def create() -> str:
    state["trainer"] = client.create_lora_training_client(state["base"], rank=8, seed=1, user_metadata={"a": "b"}).result()
    info = state["trainer"].get_info()
    assert info.model_data.model_name == state["base"] and info.lora_rank == 8, info
    state["run"] = info.model_id
    return info.model_id


def forward() -> str:
    output = state["trainer"].forward(data, "cross_entropy").result()
    logprobs = [np.asarray(o["logprobs"].data) for o in output.loss_fn_outputs]
    assert [len(x) for x in logprobs] == [5, 3]
    assert abs(output.metrics["loss:sum"] + sum(float(x.sum()) for x in logprobs)) < 1e-3
    return f"loss:sum {output.metrics['loss:sum']:.4f}"


def train() -> str:
    losses = []
    for _ in range(5):
        passed = state["trainer"].forward_backward(data, "cross_entropy")
        stepped = state["trainer"].optim_step(types.AdamParams(learning_rate=1e-2, grad_clip_norm=1.0))
        losses.append(passed.result().metrics["loss:sum"])
        stepped.result()
    assert losses[-1] < losses[0], losses
    state["loss"] = losses[-1]
    return " → ".join(f"{loss:.3f}" for loss in losses)


def chunks() -> str:
    # the results of two chunks are combined into one
    many = [datum([i % 200 + 1, i % 50 + 2, 3, 4]) for i in range(1500)]
    output = state["trainer"].forward_backward(many, "cross_entropy").result()
    assert len(output.loss_fn_outputs) == 1500
    state["trainer"].optim_step(types.AdamParams(learning_rate=0.0)).result()
    return f"{len(output.loss_fn_outputs)} datums, zstd"


def policies() -> str:
    said = []
    for loss in ("importance_sampling", "ppo", "cispo", "dro"):
        policy = types.Datum(
            model_input=types.ModelInput.from_ints([1, 2, 3]),
            loss_fn_inputs={
                "target_tokens": np.asarray([2, 3, 4]),
                "logprobs": np.asarray([-0.5, -0.25, -1.0], dtype=np.float32),
                "advantages": [1.0, -1.0, 0.5],
            },
        )
        output = state["trainer"].forward_backward([policy], loss).result()
        assert math.isfinite(output.metrics["loss:sum"])
        said.append(f"{loss} {output.metrics['loss:sum']:.3f}")
    state["trainer"].optim_step(types.AdamParams(learning_rate=0.0)).result()
    return ", ".join(said)


def logprobs_of(output: Any) -> np.ndarray:
    return np.asarray(output.loss_fn_outputs[0]["logprobs"].data, dtype=np.float64)


def gspo() -> str:
    q = np.asarray([0.0, -5.0, -5.5, -6.0], dtype=np.float32)
    advantages, mask = np.asarray([0.0, 1.0, -2.0, 0.5]), np.asarray([0.0, 1.0, 1.0, 0.0], dtype=np.float32)
    policy = types.Datum(
        model_input=types.ModelInput.from_ints([1, 2, 3, 4]),
        loss_fn_inputs={
            "target_tokens": [2, 3, 4, 5],
            "logprobs": q,
            "advantages": advantages.astype(np.float32),
            "sequence_ratio_mask": mask,
        },
    )
    said = []
    for config in ({"clip_low_threshold": 0.5, "clip_high_threshold": 3.0}, None):
        output = state["trainer"].forward_backward([policy], "gspo", config).result()
        ratio = np.exp((logprobs_of(output) - q)[mask != 0].mean())
        low, high = (0.5, 3.0) if config else (1 - 3e-4, 1 + 4e-4)
        expected = -np.minimum(ratio * advantages, np.clip(ratio, low, high) * advantages).sum()
        assert abs(output.metrics["loss:sum"] - expected) < 1e-3, (output.metrics, expected)
        said.append(f"{expected:.3f}")
    state["trainer"].optim_step(types.AdamParams(learning_rate=0.0)).result()
    return ", ".join(said)


def stable_reinforce() -> str:
    """One turn as rl_loop of the cookbook makes it, with samples of older weights."""
    sampler = state["trainer"].save_weights_and_get_sampling_client(record_stability_info=True).result()
    response = sampler.sample(prompt, 2, types.SamplingParams(max_tokens=4, seed=2)).result()
    state["trainer"].forward_backward(data, "cross_entropy")
    state["trainer"].optim_step(types.AdamParams(learning_rate=5e-2)).result()
    datums, expected = [], 0.0
    for sequence, advantage in zip(response.sequences, (1.0, -0.5), strict=True):
        plain = types.Datum(
            model_input=types.ModelInput.from_ints([1, 2, 3, *sequence.tokens[:-1]]),
            loss_fn_inputs={
                "target_tokens": [0, 0, *sequence.tokens],
                "logprobs": np.asarray([0.0, 0.0, *sequence.logprobs], dtype=np.float32),
                "advantages": np.asarray([0.0, 0.0, *[advantage] * 4], dtype=np.float32),
            },
        )
        name = sequence.sequence_id
        datums.append(
            plain.with_provenance(
                model_input=[
                    types.PromptProvenanceSpan(sequence_id=name, length=3),
                    types.SampledProvenanceSpan(sequence_id=name, length=3),
                ],
                loss_fn_inputs=[
                    types.PromptProvenanceSpan(sequence_id=name, offset=1, length=2),
                    types.SampledProvenanceSpan(sequence_id=name, length=4),
                ],
            )
        )
    output = state["trainer"].forward_backward(datums, "stable_reinforce", {"kl_coeff": 0.1}).result()
    for i, (sequence, advantage) in enumerate(zip(response.sequences, (1.0, -0.5), strict=True)):
        logprobs = np.asarray(output.loss_fn_outputs[i]["logprobs"].data)[2:]
        log_ratio = logprobs - np.asarray(sequence.logprobs)
        expected += (0.05 * log_ratio**2 - np.minimum(np.exp(log_ratio), 1) * advantage * logprobs).sum()
    assert abs(output.metrics["loss:sum"] - expected) < 1e-3, (output.metrics, expected)
    state["trainer"].optim_step(types.AdamParams(learning_rate=0.0)).result()
    other = client.create_lora_training_client(state["base"], rank=4).result()
    bare = types.Datum(model_input=datums[0].model_input, loss_fn_inputs=datums[0].loss_fn_inputs)
    return fails(400, lambda: other.forward_backward([bare], "stable_reinforce").result())


def custom() -> str:
    if find_spec("torch") is None:
        return "skipped: torch is not installed"

    def loss(batch: Any, logprobs: Any) -> Any:
        total = -sum(values.sum() for values in logprobs)
        return total, {"own": float(total)}

    output = state["trainer"].forward_backward_custom(data, loss).result()
    state["trainer"].optim_step(types.AdamParams(learning_rate=0.0)).result()
    return f"own {output.metrics['own']:.4f}"


def refusals() -> str:
    far = types.Datum(
        model_input=types.ModelInput.from_ints([1]), loss_fn_inputs={"target_tokens": [1, 2, 3], "weights": [1.0] * 3}
    )
    trainer = client.create_lora_training_client(state["base"], rank=4).result()
    try:
        trainer.forward_backward([far], "cross_entropy").result()
    except (tinker.APIStatusError, tinker.RequestFailedError) as error:
        first = str(error)
    else:
        raise AssertionError("a datum of other lengths was taken")
    wrong = client.create_lora_training_client(state["base"], rank=4).result()
    return f"{first[:90]} | {fails(400, lambda: wrong.optim_step(types.DimuonParams(learning_rate=0.1)).result())[:60]}"


# --- checkpoints


def save() -> str:
    state["weights"] = state["trainer"].save_state("whole", user_metadata={"step": "5"}).result().path
    state["trainer"].save_state("short", ttl_seconds=3600).result()
    state["after"] = state["trainer"].forward(data, "cross_entropy").result().metrics["loss:sum"]
    return state["weights"]


def load() -> str:
    # training continues with equal bits
    def go_on(trainer: Any) -> float:
        trainer.forward_backward(data, "cross_entropy").result()
        trainer.optim_step(types.AdamParams(learning_rate=1e-2)).result()
        return trainer.forward(data, "cross_entropy").result().metrics["loss:sum"]

    other = client.create_training_client_from_state_with_optimizer(state["weights"]).result()
    loaded = other.forward(data, "cross_entropy").result().metrics["loss:sum"]
    assert loaded == state["after"], (loaded, state["after"])
    assert go_on(other) == go_on(state["trainer"])
    without = client.create_training_client_from_state(state["weights"], user_metadata={"from": "whole"}).result()
    assert without.forward(data, "cross_entropy").result().metrics["loss:sum"] == state["after"]
    assert without.get_info().lora_rank == 8
    return "equal, and equal after another step"


def names() -> str:
    return conflicts("/save_weights", {"model_id": state["run"], "path": "whole", "type": "save_weights"})


# --- sampling


def sampling() -> str:
    path = state["trainer"].save_weights_for_sampler("served").result().path
    state["sampler_weights"] = path
    sampler = state["sampler"] = client.create_sampling_client(model_path=path).result()
    assert sampler.get_base_model() == state["base"]
    params = types.SamplingParams(max_tokens=8, temperature=0.7, seed=3)
    first = sampler.sample(prompt, 2, params).result()
    again = sampler.sample(prompt, 2, params).result()
    assert [s.tokens for s in first.sequences] == [s.tokens for s in again.sequences]
    assert all(len(s.tokens) == len(s.logprobs) for s in first.sequences)
    stop = first.sequences[0].tokens[2]
    stopped = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=8, temperature=0.7, seed=3, stop=[stop])).result()
    assert stopped.sequences[0].stop_reason == "stop", stopped
    return f"{path}: {first.sequences[0].tokens}"


def text(tokens: Any) -> str:
    # a token of the test engine is the code of its character
    if state["base"] == "effect-tinker/test":
        return "".join(map(chr, tokens))
    return state["trainer"].get_tokenizer().decode(tokens)


def tokenizer() -> str:
    if state["base"] == "effect-tinker/test":
        return "skipped: the test engine has none"
    loaded = state["trainer"].get_tokenizer()
    ids = loaded.encode("walk -> walked")
    assert loaded.decode(ids) == "walk -> walked", ids
    return f"{loaded.name_or_path}: {ids}"


OPTIONS = [name for name, _ in Options(None, None, [1], str).all()]


def option(name: str) -> Callable[[], str]:
    """An option of `sample`."""

    def call() -> str:
        if "options" not in state:
            sampler = state["trainer"].save_weights_and_get_sampling_client().result()
            state["options"] = dict(Options(state["trainer"], sampler, [1, 2, 3, 4], text).all())
        return state["options"][name]()

    return call


def logprobs() -> str:
    values = state["sampler"].compute_logprobs(prompt).result()
    assert len(values) == 3 and values[0] is None
    asked = state["sampler"].sample(
        prompt, 1, types.SamplingParams(max_tokens=1), include_prompt_logprobs=True, topk_prompt_logprobs=2
    ).result()
    assert len(asked.topk_prompt_logprobs[1]) == 2
    return str([None if v is None else round(v, 4) for v in values])


def ephemeral() -> str:
    sampler = state["trainer"].save_weights_and_get_sampling_client().result()
    out = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=4, temperature=0.0)).result()
    return str(out.sequences[0].tokens)


def copies() -> str:
    copy = pickle.loads(pickle.dumps(state["sampler"]))
    out = copy.sample(prompt, 1, types.SamplingParams(max_tokens=4)).result()
    return str(out.sequences[0].tokens)


# --- looking things up

rest = client.create_rest_client()


def runs() -> str:
    found = rest.get_training_run(state["run"]).result()
    assert found.base_model == state["base"] and found.lora_rank == 8 and found.user_metadata == {"a": "b"}, found
    listed = rest.list_training_runs(limit=100).result()
    assert state["run"] in [run.training_run_id for run in listed.training_runs]
    return f"{listed.cursor.total_count} runs, last checkpoint {found.last_checkpoint.checkpoint_id}"


def checkpoints() -> str:
    found = rest.list_checkpoints(state["run"]).result().checkpoints
    ids = sorted(c.checkpoint_id for c in found)
    assert ids == ["sampler_weights/served", "weights/short", "weights/whole"], ids
    assert len(rest.list_user_checkpoints().result().checkpoints) >= 3
    info = rest.get_weights_info_by_tinker_path(state["weights"]).result()
    assert info.base_model == state["base"] and info.lora_rank == 8 and info.is_lora
    return ", ".join(ids)


def publishing() -> str:
    path = state["weights"]
    rest.publish_checkpoint_from_tinker_path(path).result()
    run, name = path.removeprefix("tinker://").split("/", 1)
    again = conflicts(f"/training_runs/{run}/checkpoints/{name}/publish", {})
    public = {c.checkpoint_id: c.public for c in rest.list_checkpoints(state["run"]).result().checkpoints}
    assert public["weights/whole"] and not public["weights/short"], public
    rest.unpublish_checkpoint_from_tinker_path(path).result()
    rest.set_checkpoint_ttl_from_tinker_path(path, 86400).result()
    dated = {c.checkpoint_id: c.expires_at for c in rest.list_checkpoints(state["run"]).result().checkpoints}
    assert dated["weights/whole"] is not None
    rest.set_checkpoint_ttl_from_tinker_path(path, None).result()
    return again


def external() -> str:
    saved = state["trainer"].save_weights_external("exported").result()
    urls = rest.get_external_weights_urls(saved.path).result().urls
    config = json.load(urllib.request.urlopen(urls["adapter_config.json"]))
    assert config["peft_type"] == "LORA" and config["r"] == 8, config
    weights = urllib.request.urlopen(urls["adapter_model.safetensors"]).read()
    return f"{len(weights)} bytes, {sorted(urls)}"


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def archive() -> str:
    run, kind, name = state["sampler_weights"].removeprefix("tinker://").split("/")
    request = urllib.request.Request(
        f"{URL}/api/v1/training_runs/{run}/checkpoints/{kind}/{name}/archive", headers={"X-API-Key": KEY}
    )
    try:
        urllib.request.build_opener(Stay).open(request)
        raise AssertionError("no redirect")
    except urllib.error.HTTPError as error:
        assert error.code == 302, error
        location = error.headers["Location"]
    with tarfile.open(fileobj=io.BytesIO(urllib.request.urlopen(location).read())) as files:
        listed = {member.name: member.size for member in files}
    assert set(listed) == {"adapter_model.safetensors", "adapter_config.json", "checkpoint_complete"}, listed
    return str(listed)


def sessions() -> str:
    ids = rest.list_sessions().result().sessions
    own = state["run"].split(":train:")[0]
    assert own in ids, ids
    session = rest.get_session(own).result()
    assert state["run"] in session.training_run_ids and session.sampler_ids, session
    sampler = rest.get_sampler(session.sampler_ids[0]).result()
    assert sampler.base_model == state["base"]
    found = rest.search_sessions(types.SessionSearchRequest(display_name="interop", user_metadata={"suite": "interop"}))
    assert own in [s.session_id for s in found.result().sessions]
    return f"{len(session.training_run_ids)} runs, {len(session.sampler_ids)} samplers"


def deletion() -> str:
    path = state["weights"].replace("/whole", "/short")
    rest.delete_checkpoint_from_tinker_path(path).result()
    left = sorted(c.checkpoint_id for c in rest.list_checkpoints(state["run"]).result().checkpoints)
    assert "weights/short" not in left
    return fails(404, lambda: rest.delete_checkpoint_from_tinker_path(path).result())


def administration() -> str:
    admin = tinker.AdminClient(base_url=URL, api_key=KEY)
    usage = admin.get_billing_usage("2026-05-27T00:00:00Z", "2026-05-28T00:00:00Z").result()
    storage = admin.get_current_checkpoint_storage_usage().result()
    return f"{len(usage.data)} events, {storage.data[0].checkpoint_count} checkpoints stored"


def telemetry() -> str:
    told = client.get_telemetry()
    told.log("interop", event_data={"a": 1}) if told is not None else None
    return "sent" if told is not None else "off"


def cli(*words: str) -> Callable[[], str]:
    def call() -> str:
        environment = {**os.environ, "TINKER_BASE_URL": URL, "TINKER_API_KEY": KEY}
        command = [str(Path(sys.executable).with_name("tinker")), "--format", "json", *(w.format(**state) for w in words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[-300:] or done.stdout[-300:]
        return f"{len(json.loads(done.stdout))} fields"

    return call


def cli_version() -> str:
    said = subprocess.run([str(Path(sys.executable).with_name("tinker")), "version"], capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == f"tinker {version('tinker')}", said
    return said.stdout.strip()


def cli_download() -> str:
    # the command creates a session and a model, exports the weights, and deletes them
    target = tempfile.mkdtemp()
    said = cli("checkpoint", "download", "{weights}", "--output", target)()
    files = sorted(path.name for path in Path(target).rglob("*") if path.is_file())
    assert "adapter_model.safetensors" in files and "adapter_config.json" in files, files
    return f"{said}, {files}"


def close() -> str:
    client.close("success", detail="done").result()
    return "finished"


STEPS: list[tuple[str, Callable[[], Any]]] = [
    ("capabilities", capabilities),
    ("create", create),
    ("forward", forward),
    ("forward_backward and optim_step", train),
    ("a batch of several chunks", chunks),
    ("get_tokenizer", tokenizer),
    ("the losses of policies", policies),
    ("gspo", gspo),
    ("stable_reinforce", stable_reinforce),
    ("a custom loss", custom),
    ("what is refused", refusals),
    ("save", save),
    ("load, with the optimizer and without", load),
    ("a name that is taken", names),
    ("sample", sampling),
    ("logprobs of a prompt", logprobs),
    *((f"sample: {name}", option(name)) for name in OPTIONS),
    ("sample from the weights of now", ephemeral),
    ("sample through a copy of the client", copies),
    ("training runs", runs),
    ("checkpoints", checkpoints),
    ("publish, unpublish and expiry", publishing),
    ("weights for other programs", external),
    ("an archive", archive),
    ("sessions and samplers", sessions),
    ("delete", deletion),
    ("usage", administration),
    ("telemetry", telemetry),
    ("tinker run list", cli("run", "list")),
    ("tinker run info", cli("run", "info", "{run}")),
    ("tinker checkpoint list", cli("checkpoint", "list", "--run-id", "{run}")),
    ("tinker checkpoint info", cli("checkpoint", "info", "{weights}")),
    ("tinker checkpoint download", cli_download),
    ("tinker model list", cli("model", "list")),
    ("tinker billing usage", cli("billing", "usage", "2026-05-27T00:00:00Z", "2026-05-28T00:00:00Z")),
    ("tinker billing checkpoint-storage", cli("billing", "checkpoint-storage")),
    ("tinker version", cli_version),
    ("finish", close),
]

print(f"tinker {version('tinker')}")
for name, call in STEPS:
    step(name, call)
print(f"{len(STEPS) - len(failures)} of {len(STEPS)} work" + (f"; not: {', '.join(failures)}" if failures else ""))
sys.stdout.flush()
sys.stderr.flush()
# background threads of the client would wait for their next heartbeat
os._exit(1 if failures else 0)
