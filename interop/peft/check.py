"""Opens an exported adapter with PEFT and compares its logprobs with the service's.

    pip install torch transformers peft
    python check.py OUTPUT [BASE_MODEL_DIRECTORY]
"""

import json
import pathlib
import sys

import peft
import torch
import transformers

output = pathlib.Path(sys.argv[1])
default = pathlib.Path(__file__).parents[2] / "packages/engine/models/nano"
base = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[2] if len(sys.argv) > 2 else default)
expected = json.loads((output / "expected.json").read_text())
tokens = torch.tensor([expected["tokens"]])


def logprobs(model):
    with torch.no_grad():
        logits = model(tokens).logits[0, :-1].double()
    return logits.log_softmax(-1).gather(1, tokens[0, 1:, None])[:, 0]


before = logprobs(base)
model = peft.PeftModel.from_pretrained(base, output / "adapter").eval()
unused = [name for name, value in model.named_parameters() if "lora_B" in name and not value.any()]
after = logprobs(model)
wanted = torch.tensor(expected["logprobs"], dtype=torch.float64)
difference = (after - wanted).abs().max().item()
learned = (before - wanted).abs().max().item()
print(f"peft {peft.__version__}, torch {torch.__version__}, transformers {transformers.__version__}")
print(f"largest difference of a logprob: {difference:.2e}; without the adapter: {learned:.2e}")
if unused:
    print("matrices that PEFT did not find:", ", ".join(unused))
sys.exit(0 if difference < 1e-4 and learned > 0.1 and not unused else 1)
