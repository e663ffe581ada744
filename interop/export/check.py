"""Opens what was exported with PEFT, transformers and llama.cpp, and compares answers and logprobs with the service's.

    pip install torch transformers peft xllamacpp
    python check.py OUTPUT
"""

import json
import os
import pathlib
import sys

import peft
import torch
import transformers
import xllamacpp

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
compare("PEFT", model, 1e-4)

stored = json.loads((output / "merged" / "config.json").read_text())
precision = stored.get("dtype", stored.get("torch_dtype"))
merged = transformers.AutoModelForCausalLM.from_pretrained(output / "merged", dtype=torch.float32).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(output / "merged")
check(tokenizer.chat_template is not None, "transformers finds the chat template")
compare(f"transformers {transformers.__version__} in {precision}", merged, 1e-4 if precision == "float32" else 0.1)


def same(name, found, answer):
    check(found == answer["tokens"][: len(found)] and len(found) > 0, f"{name} answers {answer['prompt']!r} with {found}")


for answer in expected["answers"]:
    ids = tokenizer(answer["prompt"], return_tensors="pt").input_ids
    count = len(answer["tokens"])
    found = merged.generate(ids, max_new_tokens=count, min_new_tokens=1, do_sample=False)[0, ids.shape[1] :].tolist()
    same("transformers", found, answer)

for kind in ("f16", "q8_0"):
    params = xllamacpp.CommonParams()
    params.model.path = str(output / f"{kind}.gguf")
    params.n_ctx = 256
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)
    for answer in expected["answers"]:
        request = {"prompt": answer["prompt"], "max_tokens": len(answer["tokens"]), "temperature": 0, "logprobs": 1}
        response = server.handle_completions(request)
        response = json.loads(response) if isinstance(response, str) else response
        found = [entry["id"] for entry in response["choices"][0]["logprobs"]["content"]]
        same(f"llama.cpp in {kind}", found, answer)
    chat = server.handle_chat_completions({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1})
    chat = json.loads(chat) if isinstance(chat, str) else chat
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], add_generation_prompt=True)
    ids = prompt["input_ids"] if not isinstance(prompt, list) else prompt
    used = chat["usage"]["prompt_tokens"]
    check(used == len(ids), f"llama.cpp renders a chat to {used} tokens, transformers to {len(ids)}")

sys.stdout.flush()
# llama.cpp's threads need not be joined
os._exit(1 if problems else 0)
