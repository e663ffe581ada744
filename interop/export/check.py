"""Opens what was exported with PEFT, transformers and llama.cpp, and compares answers and logprobs with the service's.

    pip install torch transformers peft xllamacpp
    python check.py OUTPUT
"""

import json
import os
import pathlib
import sys
import urllib.request

import peft
import torch
import transformers

output = pathlib.Path(sys.argv[1])
expected = json.loads((output / "expected.json").read_text())
tokens = torch.tensor([expected["tokens"]])
problems = []


def check(condition, text):
    print(("ok: " if condition else "wrong: ") + text)
    if not condition:
        problems.append(text)


def logprobs(model):
    with torch.no_grad():
        logits = model(tokens).logits[0, :-1].double()
    return logits.log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0]


wanted = torch.tensor(expected["logprobs"], dtype=torch.float64)


def compare(name, model, tolerance):
    difference = (logprobs(model) - wanted).abs().max().item()
    check(difference < tolerance, f"{name}: largest difference of a logprob {difference:.1e}, allowed {tolerance:.0e}")


base = transformers.AutoModelForCausalLM.from_pretrained(expected["base"], dtype=torch.float32)
learned = (logprobs(base) - wanted).abs().max().item()
check(learned > 0.1, f"the adapter changed a logprob by {learned:.2f}")
model = peft.PeftModel.from_pretrained(base, output / "adapter").eval()
unused = [name for name, value in model.named_parameters() if "lora_B" in name and not value.any()]
check(not unused, f"PEFT {peft.__version__} finds every matrix: {unused}")
compare(f"PEFT on {base.config.model_type}", model, 1e-4)
if "answers" not in expected:
    sys.exit(1 if problems else 0)

import xllamacpp  # noqa: E402

stored = json.loads((output / "merged" / "config.json").read_text())
precision = stored.get("dtype", stored.get("torch_dtype"))
merged = transformers.AutoModelForCausalLM.from_pretrained(output / "merged", dtype=torch.float32).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(output / "merged")
check(tokenizer.chat_template is not None, "transformers finds the chat template")
compare(f"transformers {transformers.__version__} in {precision}", merged, 1e-4 if precision == "float32" else 0.1)


def logits_after(prompt, found):
    """The logits from which each of the tokens was chosen, of the model before it was rounded."""
    with torch.no_grad():
        return model(torch.tensor([prompt + found])).logits[0, len(prompt) - 1 : -1].double()


def compare_answer(name, answer, found, allowed):
    """
    The same tokens as the service's; or others from a near tie on, which weights that were rounded may decide otherwise: then
    each token has to be the best, or within `allowed` logits of the best, after those that were chosen before it.
    """
    text = f"{name} answers {answer['prompt']!r}"
    if found == answer["tokens"]:
        return check(True, f"{text} with {found}")
    first = next((i for i, pair in enumerate(zip(found, answer["tokens"])) if pair[0] != pair[1]), len(found))
    logits = logits_after(tokenizer(answer["prompt"]).input_ids, found)
    gap = (logits.max(-1).values - logits.gather(1, torch.tensor(found)[:, None])[:, 0]).max().item()
    check(
        gap <= allowed and len(found) == len(answer["tokens"]),
        f"{text} with others from token {first} on, at most {gap:.3f} logits below the best, allowed {allowed}: {found}",
    )


def ask(server, answer):
    """llama.cpp's own endpoint, which has the ids of tokens, also of those that are parts of a character."""
    count = len(answer["tokens"])
    body = {"prompt": answer["prompt"], "n_predict": count, "temperature": 0, "return_tokens": True, "n_probs": 1}
    request = urllib.request.Request(
        f"{server.listening_address}/completion", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def largest_error(answer, found, listed):
    """The largest difference of a logprob; llama.cpp lists none of tokens that are parts of a character."""
    known = logits_after(tokenizer(answer["prompt"]).input_ids, found).log_softmax(-1)
    largest, at = 0, 0
    for entry in listed:
        while found[at] != entry["id"]:
            at += 1
        largest = max(largest, abs(known[at, entry["id"]].item() - entry["logprob"]))
        at += 1
    return largest


for answer in expected["answers"]:
    ids = tokenizer(answer["prompt"], return_tensors="pt").input_ids
    count = len(answer["tokens"])
    found = merged.generate(ids, max_new_tokens=count, min_new_tokens=1, do_sample=False)[0, ids.shape[1] :].tolist()
    compare_answer("transformers", answer, found, 0)

# by how much rounding may change a logprob, of tokens that are rare too; and how near two tokens may be that change places
for kind, allowed, tie in (("f16", 0.05, 0.01), ("q8_0", 0.5, 0.1)):
    params = xllamacpp.CommonParams()
    params.model.path = str(output / f"{kind}.gguf")
    params.n_ctx = 256
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)
    errors = []
    for answer in expected["answers"]:
        response = ask(server, answer)
        compare_answer(f"llama.cpp in {kind}", answer, response["tokens"], tie)
        errors.append(largest_error(answer, response["tokens"], response["completion_probabilities"]))
    check(max(errors) < allowed, f"llama.cpp in {kind}: largest difference of a logprob {max(errors):.1e}, allowed {allowed}")
    chat = server.handle_chat_completions({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1})
    chat = json.loads(chat) if isinstance(chat, str) else chat
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], add_generation_prompt=True)
    ids = prompt["input_ids"] if not isinstance(prompt, list) else prompt
    used = chat["usage"]["prompt_tokens"]
    check(used == len(ids), f"llama.cpp renders a chat to {used} tokens, transformers to {len(ids)}")

sys.stdout.flush()
# llama.cpp's threads need not be joined
os._exit(1 if problems else 0)
