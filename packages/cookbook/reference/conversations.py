"""Conversations that exercise renderers: each kind of content, in each kind of place. The same ones at every run."""

from __future__ import annotations

import json
import random
from typing import Any

WORDS = (
    "alpha bridge cloud delta ember field glass harbour island jungle kettle lantern meadow north ocean paper "
    "quartz river silver timber under valley window yellow zebra"
).split()
TEXTS = [
    "Grüße aus Köln – naïve café, ¿qué tal?",
    "日本語のテキストと中文，以及한국어",
    "emoji 👩‍👩‍👧‍👦 🇩🇪 and 🧮",
    "def f(x):\n    if x:\n        return 1\n\treturn 2\n",
    "    indented from the start",
    "\tstarts with a tab",
    "ends with spaces   ",
    "ends with newlines\n\n",
    "no\u00a0break\u2009spaces and \u200bzero width",
    "line one\r\nline two\r\n",
    "1234567890 3.14159 1e-07 -0.0 0x1F",
    '{"json": [1, 2.50, "three"], "nested": {"a": null}}',
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "User: this is not a turn",
    "a\n\n\n\nb",
    "Ωμέγα кириллица عربى עברית हिन्दी",
]
SPECIAL = [
    "<|im_end|>",
    "<|im_start|>assistant\nno",
    "<|eot_id|><|start_header_id|>user<|end_header_id|>",
    "<|endoftext|> and <|begin_of_text|>",
]
THOUGHTS = [
    "I add the numbers.",
    "\nfirst line\n  second, indented\n",
    "Überlegung: 日本",
    "step 1\n\nstep 2",
]


def sentence(random: random.Random) -> str:
    return " ".join(random.choices(WORDS, k=random.randint(1, 14))).capitalize() + random.choice(".?!")


def text(random: random.Random) -> str:
    if random.random() < 0.3:
        return random.choice(TEXTS)
    return random.choice([" ", "\n", "\n\n"]).join(sentence(random) for _ in range(random.randint(1, 3)))


def message(role: str, content: Any, **rest: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **rest}


def part(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def thinking(value: str) -> dict[str, str]:
    return {"type": "thinking", "thinking": value}


def opening(random: random.Random) -> list[dict[str, Any]]:
    return [message("system", text(random))] if random.random() < 0.4 else []


def plain(random: random.Random, turns: int) -> list[dict[str, Any]]:
    messages = opening(random)
    for _ in range(turns):
        messages += [message("user", text(random)), message("assistant", text(random))]
    return messages


def reasoning(random: random.Random, turns: int) -> list[dict[str, Any]]:
    messages = opening(random)
    for _ in range(turns):
        parts = [thinking(random.choice(THOUGHTS)), part(text(random))]
        content: Any = parts if random.random() < 0.7 else text(random)
        messages += [message("user", text(random)), message("assistant", content)]
    return messages


def inline(random: random.Random, turns: int) -> list[dict[str, Any]]:
    messages = opening(random)
    for _ in range(turns):
        thought = random.choice(["<think>\n{}\n</think>\n\n", "<think>{}</think>", "<think>\n\n</think>\n"])
        messages += [
            message("user", text(random)),
            message("assistant", thought.format(random.choice(THOUGHTS).strip()) + sentence(random)),
        ]
    return messages


ARGUMENTS: list[dict[str, Any]] = [
    {"city": "Paris", "days": 3},
    {"q": "wo ist Köln?", "lang": "de"},
    {"id": 12345678901234567890, "ratio": 1.0, "tiny": 1e-07},
    {"nested": {"list": [1, 2, {"deep": None}], "flag": True}},
    {"code": "if a < b:\n    return \"x\"", "url": "https://example.org/?a=1&b=2"},
    {},
]
NAMES = ["get_weather", "search", "run"]


def call(random: random.Random, ascii_only: bool) -> dict[str, Any]:
    arguments = random.choice([a for a in ARGUMENTS if not ascii_only or json.dumps(a, ensure_ascii=False).isascii()])
    separators = random.choice([None, (",", ":")])
    body = {"name": random.choice(NAMES), "arguments": json.dumps(arguments, ensure_ascii=False, separators=separators)}
    return {"type": "function", "id": f"call_{random.randint(0, 99)}", "function": body}


def tools(random: random.Random, results: int, steps: int, thinks: bool = False) -> list[dict[str, Any]]:
    messages = opening(random) + [message("user", text(random))]
    for _ in range(steps):
        calls = [call(random, random.random() < 0.7) for _ in range(results)]
        said = random.choice(["", sentence(random)])
        content: Any = [thinking(random.choice(THOUGHTS))] + ([part(said)] if said else []) if thinks else said
        messages.append(message("assistant", content, tool_calls=calls))
        for made in calls:
            messages.append(message("tool", random.choice(TEXTS), tool_call_id=made["id"], name=made["function"]["name"]))
    return messages + [message("assistant", text(random))]


SPECS: list[dict[str, Any]] = [
    {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
    {"name": "search", "description": "Sucht – überall", "parameters": {"type": "object", "properties": {}}},
]


def parts(random: random.Random) -> list[dict[str, Any]]:
    several = [part(sentence(random)), part(" "), part(sentence(random))]
    return [message("user", [part(text(random))]), message("assistant", random.choice([several, [part(text(random))]]))]


def make(seed: int = 7, count: int = 200) -> list[dict[str, Any]]:
    """`count` conversations: messages, and tools where they are declared."""
    random_ = random.Random(seed)
    kinds = [
        lambda r: {"messages": plain(r, 1)},
        lambda r: {"messages": plain(r, r.randint(2, 5))},
        lambda r: {"messages": plain(r, 2)[:-1]},
        lambda r: {"messages": [message("assistant", text(r))] + plain(r, r.randint(1, 2))[-2:]},
        lambda r: {"messages": [message("system", text(r)), message("assistant", text(r))]},
        lambda r: {"messages": reasoning(r, 1)},
        lambda r: {"messages": reasoning(r, r.randint(2, 3))},
        lambda r: {"messages": inline(r, 1)},
        lambda r: {"messages": inline(r, 2)},
        lambda r: {"messages": tools(r, 1, 1)},
        lambda r: {"messages": tools(r, 1, 2), "tools": [SPECS[0]]},
        lambda r: {"messages": tools(r, 2, 1), "tools": SPECS[: r.randint(1, 2)]},
        lambda r: {"messages": tools(r, 1, r.randint(1, 2), thinks=True)},
        lambda r: {"messages": parts(r)},
        lambda r: {"messages": [message("user", text(r)), message("assistant", "")]},
        lambda r: {
            "messages": [message("user", f"{sentence(r)} {r.choice(SPECIAL)}"), message("assistant", r.choice(SPECIAL))]
        },
        lambda r: {"messages": [message("user", text(r)), message("assistant", text(r), weight=0), *plain(r, 1)[-2:]]},
        lambda r: {"messages": [message("user", text(r)), message("developer", text(r)), message("assistant", text(r))]},
        lambda r: {"messages": plain(r, 3)},
        lambda r: {"messages": plain(r, 1)[-2:]},
    ]
    return [kinds[i % len(kinds)](random_) for i in range(count)]
