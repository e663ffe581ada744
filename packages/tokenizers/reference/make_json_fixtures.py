"""What Python's `json` makes of many texts: `[text, json.dumps(json.loads(text), ensure_ascii=False)]`, and of options.

    python3 make_json_fixtures.py
"""

import json
import pathlib
import random

out = pathlib.Path(__file__).parent.parent / "test" / "fixtures" / "json.json"

NUMBERS = (
    "0 -0 -0.0 1.0 1e5 1E5 1e-07 1e-7 0.0001 0.00001 1e16 1e15 123456789012345678 9007199254740991 9007199254740992 "
    "9007199254740993 -9223372036854775808 1.50 0.1 1e22 1.7976931348623157e308 5e-324 1e400 -1e400 2.5e-3 "
    "100000000000000000000.0 0.30000000000000004 12345678.9 1e21 123456789.125 -1.5e-9"
).split()
DOCUMENTS = [
    '{"b":1,"1":2,"a":{"10":1.0,"2":[1,2.0]}}',
    '{"a":1,"b":2,"a":3}',
    '{"a":1,"b":2,"\\u0061":3}',
    '{"__proto__":{"x":1},"constructor":2,"toString":1.0}',
    '[ "\\u00e9\\ud83d\\ude00\\n\\u0001\\u007f/\\/" , {} , [] ,{"x":[]}]',
    '{"z\\u0031":1,"\\u0031":2,"b":3, "0" : 1e-07}',
    '{"k":1,"kk":{"k1":1}}',
    '{"":1.0, "\\"1\\"":2, "5":"\\\\"}',
    '{"a": "x\\"1\\": 2, 1.0", "3": null, "b": [true, false]}',
    "\t\r\n [1 , 2.0]\n",
]
OPTIONS = [
    {"indent": 2},
    {"indent": 0},
    {"indent": "\t"},
    {"separators": [",", ":"]},
    {"indent": 4, "sort_keys": True},
    {"sort_keys": True, "ensure_ascii": True},
]
TREE = '{"b":[1,[],{}],"a":{"é":"ü😀","z":1.0,"\\uffff":2,"\\ud83d\\ude00":3},"10":[{"x":null}],"9":"a\\tb"}'


def main():
    rng = random.Random(5)
    texts = [*NUMBERS, *DOCUMENTS]
    for _ in range(60):
        texts.append(repr(rng.uniform(-1, 1) * 10 ** rng.randint(-25, 25)))
        texts.append(str(rng.randint(-(2**70), 2**70) >> rng.randint(0, 60)))
        texts.append("%de%d" % (rng.randint(-99, 99), rng.randint(-30, 30)))
    rows = [[text, json.dumps(json.loads(text), ensure_ascii=False)] for text in texts]
    printed = [[o, json.dumps(json.loads(TREE), **{"ensure_ascii": False, **o})] for o in OPTIONS]
    out.write_text(json.dumps({"texts": rows, "tree": TREE, "printed": printed}, indent=0) + "\n")


main()
