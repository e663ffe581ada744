"""Prints the public names of the official SDK and of its cookbook, as JSON: what docs/python.md has to name.

    pip install tinker==0.38.* && pip download --no-deps tinker-cookbook==0.6.1
    python interop/names.py tinker_cookbook-0.6.1-py3-none-any.whl > docs/python-names.json

Methods whose names end in _async are left out: each has a twin without.
"""

import inspect
import json
import sys
import zipfile

import tinker

CLIENTS = ["ServiceClient", "TrainingClient", "SamplingClient", "RestClient", "AdminClient", "APIFuture"]
TYPES = ["ModelInput", "Datum", "TensorData", "EncodedTextChunk", "DmelChunk", "ParsedCheckpointTinkerPath", "LossHandle"]

# packages of the cookbook that stand for all of their modules
WHOLE = ["renderers", "eval/benchmarks", "capture", "sandbox", "stores", "weights", "tool_use", "xmux", "inference", "chat_app"]
LEFT_OUT = ["recipes", "third_party", "scripts", "example_data"]


def members(name):
    found = vars(getattr(tinker, name))
    kinds = (property, classmethod, staticmethod)
    return sorted(
        member
        for member, value in found.items()
        if not member.startswith("_")
        and not member.endswith("_async")
        and (isinstance(value, kinds) or inspect.isfunction(value))
    )


def modules(wheel):
    names = set()
    for path in zipfile.ZipFile(wheel).namelist():
        if not path.startswith("tinker_cookbook/") or not path.endswith(".py"):
            continue
        module = path.removeprefix("tinker_cookbook/").removesuffix(".py")
        parts = module.split("/")
        if parts[0] in LEFT_OUT or any(part.startswith("_") or part == "tests" for part in parts):
            continue
        if parts[-1].endswith("_test") or parts[-1].startswith("test_"):
            continue
        whole = next((name for name in WHOLE if module.startswith(name + "/")), None)
        names.add((whole or module).replace("/", "."))
    return sorted(names)


exported = sorted(
    name for name in dir(tinker) if name[0].isupper() and inspect.isclass(getattr(tinker, name)) and name != "Timeout"
)
print(
    json.dumps(
        {
            "sdk": {
                "version": tinker.__version__,
                "methods": {name: members(name) for name in CLIENTS + TYPES},
                "classes": exported,
            },
            "cookbook": {"version": sys.argv[1].split("/")[-1].split("-")[1], "modules": modules(sys.argv[1])},
        },
        indent=2,
    )
)
