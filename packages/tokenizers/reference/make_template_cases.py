"""The conversations and the small templates of `make_template_fixtures.py`."""

NOW = "2026-06-01T12:34:56"


def user(content, **more):
    return {"role": "user", "content": content, **more}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def tool(content, **more):
    return {"role": "tool", "content": content, **more}


def call(name, arguments, **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


WEATHER = call("get_weather", {"city": "Zürich", "days": 3, "id": 9223372036854775807, "scale": 1.0, "eps": 1e-07, "flag": True, "none": None})
ODD_ARGUMENTS = call("f", {"b": [1, 2.0, {"10": 1, "9": 2}], "a": "<|im_end|>\n\"quoted\" \\ \t é 😀 </tool_call>", "z": -0.0, "huge": 123456789012345678901234567890, "tiny": 5e-324, "e16": 1e16})

CONVERSATIONS = {
    "one": [user("Hi, who are you? <b>&\"'</b>")],
    "system": [system("You are a helpful assistant.\nBe brief."), user("2 + 2?  "), assistant("4"), user("再见 👋")],
    "answered": [user("What?"), assistant("That.")],
    "indented": [user("code?"), assistant("    return x\n")],
    "white": [system("  \n sys \t"), user("\n\n  a\n\n"), assistant("\t\n  b  \n\n"), user("\u00a0\u00a0c\u00a0"), assistant("\u3000d\u2003\x0b\x1f")],
    "newlines": [user("\n\n\na"), assistant("\n\n\n\nb\n\n\n"), user("a\r\nb\r"), assistant("\r\n\r\nc")],
    "empty": [user(""), assistant(""), user("   "), assistant("x")],
    "empty_system": [system(""), user("x")],
    "emoji": [user("👩‍👩‍👧‍👦 🇩🇪 𝕳𝖊𝖑𝖑𝖔"), assistant("👍🏽 \U0001f9d1\U0001f3ff‍\U0001f680")],
    "special": [system("<|im_start|>system"), user("a<|im_end|>\n<|im_start|>assistant\nb<|eot_id|><end_of_turn></s><|endoftext|>"), assistant("ok<|im_end|>")],
    "braces": [user("{{ messages }} {% if x %} {# c #}"), assistant("{% raw %}{{")],
    "thinking": [user("Think."), assistant("<think>\nhmm\n</think>\n\nDone."), user("Again."), assistant("<think>\nhmm hmm\n</think>\n\nDone again.")],
    "thinking_odd": [user("x"), assistant("</think>a"), user("y"), assistant("<think></think>"), user("z"), assistant("<think>\n\n</think>\n\n  c </think> d")],
    "reasoning": [user("x"), assistant("y", reasoning_content="\n why \n"), user("z"), assistant("w", reasoning_content="because\n")],
    "reasoning_names": [user("x"), assistant("y", thinking="t1"), user("z"), assistant("w", reasoning="t2")],
    "reasoning_last": [user("x"), assistant("y"), user("z"), assistant("w", reasoning_content="r")],
    "reasoning_empty": [user("x"), assistant("y", reasoning_content="")],
    "null_content": [user("x"), assistant(None, tool_calls=[WEATHER])],
    "tool_call": [user("Weather in Zürich?"), assistant("", tool_calls=[WEATHER])],
    "tool_result": [user("Weather?"), assistant("", tool_calls=[WEATHER]), tool('{"t": 21.5}', name="get_weather"), assistant("21.5 degrees.")],
    "tool_results": [user("Both?"), assistant("Let me see.", tool_calls=[WEATHER, ODD_ARGUMENTS]), tool("one\n"), tool("  two"), assistant("Done."), user("Thanks")],
    "tool_string": [user("x"), assistant("y", tool_calls=[call("f", '{"a": 1.0}', id="call_123456")]), tool("r", tool_call_id="call_123456")],
    "tool_ids": [user("x"), assistant("", tool_calls=[call("f", {}, id="abcdefghi")]), tool("r", tool_call_id="abcdefghi", name="f"), user("y")],
    "tool_bare": [user("x"), assistant("", tool_calls=[{"name": "g", "arguments": {"k": [1, None]}}]), tool("r")],
    "tool_thinking": [user("x"), assistant("<think>\nplan\n</think>\n\ncalling", tool_calls=[WEATHER]), tool("r"), assistant("<think>\nread\n</think>\n\nend")],
    "tool_reasoning": [user("x"), assistant("", reasoning_content="plan", tool_calls=[ODD_ARGUMENTS]), tool("r"), assistant("end", reasoning_content="read"), user("y")],
    "tool_dict": [user("x"), assistant("", tool_calls=[WEATHER]), tool({"t": 1.0, "n": [None, True]})],
    "assistant_first": [assistant("Hello, I begin."), user("Hi"), assistant("So?")],
    "assistant_only": [assistant("Alone.")],
    "system_only": [system("Only this.")],
    "two_users": [user("a"), user("b"), assistant("c")],
    "two_assistants": [user("a"), assistant("b"), assistant("c")],
    "system_late": [user("a"), system("late"), assistant("b")],
    "two_systems": [system("a"), system("b"), user("c")],
    "developer": [{"role": "developer", "content": "Be terse."}, user("x"), assistant("y")],
    "unknown_role": [user("x"), {"role": "critic", "content": "y"}],
    "parts": [user([{"type": "text", "text": "What is this? "}, {"type": "image"}, {"type": "text", "text": " And this?"}]), assistant([{"type": "text", "text": "A cat."}])],
    "parts_system": [{"role": "system", "content": [{"type": "text", "text": "sys"}]}, user([{"type": "text", "text": "  a "}])],
    "images": [user([{"type": "image", "image": "file.png"}, {"type": "image_url", "image_url": {"url": "u"}}, {"type": "video"}, {"type": "audio"}])],
    "parts_empty": [user([]), assistant([])],
    "names": [user("x", name="alice"), assistant("y", name="bob")],
    "weights": [user("x", weight=0), assistant("y", weight=1.0, trainable=True)],
    "long": [m for i in range(6) for m in (user(f"Question {i}?"), assistant(f"Answer {i}."))] + [user("Last?")],
    "numbers": [user(5), assistant(1.0)],
    "missing_content": [{"role": "user"}, {"role": "assistant"}],
    "channels": [user("x"), assistant("a <|channel|>final<|message|>b", thinking="deep"), user("y")],
    "none": [],
}

TOOLS = {
    "weather": [
        {"type": "function", "function": {"name": "get_weather", "description": "The <weather> in a city's \"area\" – ünïcode", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "a city\nor town", "enum": ["A", "B"]}, "days": {"type": "integer", "default": 1, "minimum": 0.5, "maximum": 1.0, "multipleOf": 1e-07}, "units": {"type": ["string", "null"]}, "list": {"type": "array", "items": {"type": "number"}}}, "required": ["city"], "additionalProperties": False}, "return": {"type": "object", "properties": {}}}},
        {"type": "function", "function": {"name": "f", "description": "", "parameters": {"type": "object", "properties": {"id": {"type": "integer", "default": 9223372036854775807}, "x": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"10": {"type": "boolean"}, "9": {"type": "null"}}}]}}}}},
    ],
    "bare": [{"name": "g", "description": "no function key", "parameters": {"type": "object", "properties": {}}}],
}

VARIABLES = {
    "no_thinking": {"enable_thinking": False},
    "thinking": {"enable_thinking": True, "thinking": True, "reasoning_effort": "high", "preserve_thinking": True},
    "clear": {"clear_thinking": False, "model_identity": "You are a test.", "add_vision_id": True},
}

OPTIONS = [
    {"name": "plain", "add_generation_prompt": False},
    {"name": "prompt", "add_generation_prompt": True},
    {"name": "tools", "add_generation_prompt": True, "tools": "weather"},
    {"name": "bare_tools", "add_generation_prompt": False, "tools": "bare", "variables": "clear"},
    {"name": "no_thinking", "add_generation_prompt": True, "variables": "no_thinking"},
    {"name": "thinking", "add_generation_prompt": True, "tools": "weather", "variables": "thinking"},
]

CONSTRUCTS = {
    "variables": {
        "s": "  Hello World  ",
        "t": "a,b,,c",
        "e": "a😀é\u00a0b",
        "n": 7,
        "f": 2.5,
        "neg": -7,
        "big": 9223372036854775808,
        "xs": [3, 1, 2],
        "names": ["bob", "Alice", "carol", "alice"],
        "d": {"b": 1, "a": [1, 2.0], "10": None, "9": True, "items": "own"},
        "rows": [{"n": "x", "v": 2, "g": "one"}, {"n": "y", "v": 1, "g": "two"}, {"n": "z", "g": "One"}],
        "nothing": None,
        "yes": True,
        "html": "<a href=\"x\">&'</a>",
        "quote": "it's \"x\"",
        "multi": "one\n  two\n\nthree\r\nfour\x0cfive",
        "tuple_like": [[1, 2], [3, 4]],
        "nested": {"a": {"b": {"c": [10, 20]}}},
        "ssharp": "straße ΑΣ",
        "empty": [],
    },
    "templates": [],
}

EXPRESSIONS = """
-7 % 3 | 7 % -3 | -7 // 2 | 7 // -2 | -7.5 // 2 | -7.5 % 2 | 7 / 2 | 8 / 2 | 2 ** 10 | 2 ** 3 ** 2 | -2 ** 2 | 7.0 // 2 | 1e16 | 1e-5 | 0.1 + 0.2 | 1.0 | 100000000000000000000 | 1_000 | 0x1f | 0b101 | 0o17 | 1.5e3
true | none | [true, none, 1.0, 'a'] | (1,) | (1, 2) | () | {} | {'a': 1, 1: 'b', none: 2.0} | [1] * 3 | 'ab' * 3 | 3 * 'ab' | [1] + [2] | (1,) + (2,) | 'a' 'b' | 1 ~ 'a' ~ none ~ true ~ 1.0 | undefined_name | undefined_name ~ 'x' | big | big + 1 | big * big | -big | 10 - 3 - 2
1 == 1.0 | true == 1 | 'a' == 'a' | [1] == [1.0] | {'a': 1} == {'a': 1} | none == false | undefined_name == other_name | 1 < 2 < 3 | 3 > 2 > 2 | 'a' < 'b' | 'B' < 'a' | [1, 2] < [1, 3] | 1 in [1.0] | 'ell' in s | 'a' in d | 'zz' not in d | not 1 | not '' | 1 and 0 | 0 or 'x' | '' or none | yes and n | 1 if 0 else 2 | 1 if 0 | 'a' if n > 5 else 'b'
s.strip() | s.strip(' Hd') | s.lstrip() ~ '|' | s.rstrip() ~ '|' | 'xxhixx'.strip('x') | '\\n\\n a \\n'.strip('\\n') | e.strip() | s.upper() | s.lower() | s.title() | s.swapcase() | 'hello wORLD'.capitalize() | ssharp.upper() | ssharp.lower() | s.find('World') | s.find('zz') | s.rfind('l') | s.index('o') | s.count('l') | s.count('') | e.find('é') | 'aXbXc'.replace('X', '--') | 'aaa'.replace('a', 'b', 2) | 'abc'.replace('', '-') | t.split(',') | t.split(',', 1) | t.rsplit(',', 1) | s.split() | s.split(none, 1) | ' a  b  c '.rsplit(none, 1) | multi.splitlines() | multi.splitlines(true) | ','.join(['a', 'b']) | 'abc'.startswith('ab') | 'abc'.startswith(('x', 'ab')) | 'abc'.endswith(('bc', 'y')) | 'abc'.startswith('b', 1) | 'abc'.endswith('b', 0, 2) | '123'.isdigit() | '12a'.isdigit() | ''.isdigit() | 'abc'.isalpha() | 'ab1'.isalnum() | ' '.isspace() | 'ABC'.isupper() | 'aBc'.islower() | 'Ab Cd'.istitle() | 'a-b-c'.partition('-') | 'a-b-c'.rpartition('-') | 'abc'.partition('z') | 'x'.center(6, '*') | 'x'.ljust(4, '.') ~ '|' | 'x'.rjust(4) | '-42'.zfill(6) | 'abc'.removeprefix('a') | 'abc'.removesuffix('c') | 'a{}b{}'.format(1, 'x') | '{1}-{0}-{x}'.format('a', 'b', x=2) | '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c') | '{:.2f} {:,}'.format(2.675, 1234567) | '%s and %d' % ('x', 5) | '%05.2f' % 3.14159 | '%s' % none | '%-5s|' % 'a' | '%x %X %o' % (255, 255, 8) | '100%% %s' % 'x' | '%(a)s' % {'a': 1} | 'a\\tb\\x41\\u00e9'
e|length | e[0] | e[1] | e[2] | e[-1] | e[1:3] | e[::-1] | e[::2] | s[2:7] | s[:-2] | s[-3:] | s[10:2] | xs[0] | xs[-1] | xs[5] | xs[1:] | xs[::-1] | xs[:2] | xs[::2] | d.a | d['a'] | d['items'] | d.zz | d['zz'] | d.get('zz') | d.get('zz', 'no') | d.keys()|list | d.values()|list | d.items()|list | d|length | d | nested.a.b.c[1] | nested['a'].b['c'].0 | nested.zz.yy | s.zz | xs.zz | n.zz | d.a[1]
s|trim | s|trim(' H') | s|upper | s|lower | 'hello wORLD foo-bar'|title | 'hELLO'|capitalize | e|length | xs|count | xs|first | xs|last | empty|first | empty|last | 'abc'|first | 'abc'|last | xs|sort | xs|sort(reverse=true) | names|sort | names|sort(case_sensitive=true) | names|unique|list | names|unique(true)|list | xs|reverse|list | 'abc'|reverse | xs|max | xs|min | names|max | rows|max(attribute='v') | xs|sum | rows|map(attribute='n')|list | rows|map(attribute='v', default=0)|list | names|map('upper')|list | names|map('replace', 'a', 'o')|join('-') | rows|selectattr('v')|map(attribute='n')|join | rows|selectattr('v', 'defined')|list|length | rows|selectattr('v', '==', 1)|map(attribute='n')|list | rows|rejectattr('v', 'defined')|map(attribute='n')|list | xs|select('odd')|list | xs|reject('odd')|list | xs|select('gt', 1)|list | xs|select|list | ['', 'a', none]|select|list | xs|join(', ') | rows|join('-', attribute='n') | xs|join | d|items|list | d|dictsort | d|dictsort(by='value') | nothing|default('x') | nothing|default('x', true) | undefined_name|default('x') | ''|default('x', true) | ''|d('x') | undefined_name|default | undefined_name|default(none)
multi|indent | multi|indent(2) | multi|indent(2, true) | multi|indent('>> ', blank=true) | multi|indent(first=true, width=1) | '42'|int | '4.7'|int | 'x'|int | 'x'|int(5) | ' 42 '|int | 3.9|int | -3.9|int | '1e3'|int | true|int | '1_000'|int | '3.5'|float | 'x'|float | 3|float | '1e400'|float | 2.5|round | 3.5|round | 2.675|round(2) | 0.125|round(2) | 1.005|round(2) | 5|round | 25|round(-1) | 42.55|round(1, 'floor') | 42.55|round(1, 'ceil') | -0.4|round | 2.5|round|int | 1234.5678|round(2) | n|string ~ 'x' | 1.0|string | none|string | [1,2]|string | 'abc'|list | d|list | xs|list | 'aXb'|replace('X', 'Y') | 5|replace('5', '6') | -5|abs | f|abs | '%s-%s'|format('a', 1) | xs|batch(2)|list | xs|batch(2, 0)|list | xs|slice(2)|list | names|groupby(0)|list | rows|groupby('g')|list | rows|groupby('g')|map(attribute='grouper')|list | 'x'|center(5) | 'one two, three'|wordcount | html|string | html|safe | d|attr('keys')
d|tojson | xs|tojson | html|tojson | e|tojson | 'a\\x01\\x7f\\u2028'|tojson | 1.0|tojson | 1e-7|tojson | 1e16|tojson | big|tojson | none|tojson | true|tojson | (1, 2)|tojson | d|tojson(indent=2) | d|tojson(indent=0) | d|tojson(sort_keys=true) | d|tojson(separators=(',', ':')) | d|tojson(ensure_ascii=true) | e|tojson(true) | [[], {}]|tojson(indent=4) | 'é😀'|tojson(ensure_ascii=true) | {'a': {'b': []}}|tojson(indent='\\t') | {1: 'x', none: 2, true: 3, 2.5: 4}|tojson
n is odd | n is even | n is divisibleby 7 | n is divisibleby(2) | f is float | n is float | n is integer | yes is integer | yes is boolean | yes is true | 1 is true | n is number | yes is number | s is string | d is mapping | xs is mapping | xs is sequence | d is sequence | s is sequence | n is sequence | xs is iterable | n is iterable | nothing is none | undefined_name is defined | undefined_name is undefined | nothing is defined | d.zz is defined | d.a is defined | n is not none | n is not defined | 'abc' is lower | 'ABC' is upper | n is eq 7 | n is equalto 7 | n is gt 3 | n is ne 3 | n is in [7] | 'a' is in 'abc' | nothing is sameas none | yes is sameas true | range is callable | s is callable | n is lt 10 and n is ge 7 | not n is odd | n is odd is string
range(3)|list | range(1, 10, 3)|list | range(5, 0, -2)|list | range(3) | range(3)|length | 2 in range(3) | range(0)|list | dict(a=1, b=2) | dict([('a', 1)], b=3) | namespace(a=1).a | joiner | strftime_now('%Y-%m-%d') | strftime_now('%d %B %Y, %H:%M') | [1, [2, [3]]] | {'a': {'b': [none]}} | quote | [quote, html, e, multi] | ['\\x00\\x7f\\u200b\\ud7ff', '\\\\'] | {'k': 'it\\'s'} | (xs|length) * 2 | xs|length * 2 | 'a' ~ xs|length | - n|abs | (-n)|abs | xs|map('string')|map('upper')|join | raise_exception('no') | 1 / 0 | 1 // 0 | 5 + 'a' | 'a' + 5 | none + 1 | undefined_name.a | undefined_name['a'] | undefined_name + 1 | undefined_name() | s() | xs|frobnicate | n is frobnicated | xs.append(4) | d.update({}) | d.pop('a') | 'x'.__class__ | d.__class__ | [] | [[]]|first | xs|first|string | {'a': 1}.items() | {'a': 1}.keys() | d.items()|first | 10|string|length | 'abc'[5] | 'abc'[1:][0] | 'ab' in ['ab'] | 1 in 'a' | [1] in [[1]] | -1 ** 2 | 2 * -3 | not not 1 | 1 + 2 * 3 ~ 4 | 'a' ~ 1 + 2 | 7 | string
[undefined_name, 1] | (undefined_name,) | {'a': undefined_name} | '%r' % [undefined_name] | [undefined_name]|string | n[1:2] | yes[:1] | f[::2] | nothing[1:] | d[1:] | d[:] | (xs|map('string'))[:1] | undefined_name[1:]
""".strip()

STATEMENTS = [
    "{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ x }};{% endfor %}",
    "{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}",
    "{% for x in xs %}{{ loop.previtem is defined }}{{ loop.nextitem|default('end') }}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}",
    "{% for x in empty %}x{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }};{% endfor %}",
    "{% for a, b in tuple_like %}{{ a }}-{{ b }};{% endfor %}",
    "{% for x in xs if x > 1 %}{{ x }}{{ loop.index }}{{ loop.length }}{{ loop.last }}{% else %}no{% endfor %}",
    "{% for x in xs if x > 9 %}{{ x }}{% else %}no{% endfor %}",
    "{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in xs %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% else %}never{% endfor %}",
    "{% for x in xs %}{% for y in xs %}{{ loop.index }}{% if y == 1 %}{% break %}{% endif %}{% endfor %}|{{ loop.index }}{% endfor %}",
    "{% for c in e %}[{{ c }}]{% endfor %}",
    "{% for x in undefined_name %}x{% else %}nothing{% endfor %}",
    "{% for x in nothing %}x{% endfor %}",
    "{% for x in 5 %}x{% endfor %}",
    "{% for m in messages %}{{ m.role }}{{ m['content'] }}{% endfor %}",
    "{% for x in rows recursive %}{{ x.n }}{{ loop.depth }}{% if x.n == 'x' %}({{ loop([{'n': 'q'}]) }}){% endif %}{% endfor %}",
    "{% for x in xs|reverse %}{{ x }}{{ loop.length }}{% endfor %}",
    "{% for x in xs|map('string') %}{{ x }}{{ loop.last }}{% endfor %}",
    "{% for x in range(3) %}{{ x }}{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}{{ v }}{% endfor %}",
    "{% for k, v in d|items %}{{ k }}{% endfor %}",
    "{% for x, y in xs %}{{ x }}{% endfor %}",
    "{% set m = xs|map('string') %}{{ m|list }}{{ m|list }}",
    "{% set x = 1 %}{% for y in xs %}{% set x = y %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for y in xs %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace() %}{% set ns.a = 5 %}{{ ns.a }}{{ ns.b }}|{{ ns.b is defined }}{{ ns['a'] }}",
    "{% set ns = namespace(done=false) %}{% for x in xs if not ns.done %}{{ x }}{% if x == 1 %}{% set ns.done = true %}{% endif %}{% endfor %}",
    "{% set d.x = 1 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set (a, b) = tuple_like[0] %}{{ a }}{{ b }}",
    "{% set a, b = 1, 2, 3 %}",
    "{% set x = 1, 2 %}{{ x }}",
    "{% set x %}a{{ n }}b{% endset %}[{{ x }}]{{ x|length }}",
    "{% set x | upper %}abc{% endset %}{{ x }}",
    "{% set x | trim | upper %}  abc {% endset %}[{{ x }}]",
    "{% set x %}{% set y = 2 %}{{ y }}{% endset %}{{ x }}{{ y }}",
    "{% set x = x|default(5) %}{{ x }}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}",
    "{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, c=3) }}{{ m(b=1, a=0) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(zz=2) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}in{{ n }}{% endcall %}",
    "{% macro m() %}{{ caller('x', y=1) }}{% endmacro %}{% call(a, y=2, z=3) m() %}{{ a }}{{ y }}{{ z }}{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}",
    "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ m() }}",
    "{% macro m() %}{{ n }}{% set n = 1 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m('a')|upper ~ m('b') }}{{ m('abc')|length }}",
    "{% macro m(x) -%}\n  {{ x }}\n{%- endmacro %}[{{ m(1) }}]",
    "{% filter upper %}abc{{ s }}{% endfilter %}",
    "{% filter trim | upper %}  abc {% endfilter %}",
    "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}",
    "{% if undefined_name %}a{% else %}b{% endif %}{% if empty %}a{% elif d %}c{% endif %}",
    "{% if n == 7 and (s is string or nothing) and not empty %}yes{% endif %}",
    "{% if false %}{{ x|frobnicate }}{% endif %}ok",
    "{% if false %}{{ x is frobnicated }}{% endif %}ok",
    "{{ 'a' if true else (x|frobnicate) }}",
    "{% if false %}{% for q in xs %}{{ x|frobnicate }}{% endfor %}{% endif %}ok",
    "{% for q in empty %}{{ x|frobnicate }}{% endfor %}ok",
    "{% raw %}{{ x }}{% if %}{% endraw %}|",
    "a\n  {% raw %}\n {{ x }}\n  {% endraw %}\nb",
    "a {%- raw -%} \n b {%- endraw -%} \n c",
    "{# a comment #}a{#- b -#} c {#+ d +#}\ne",
    "  {# c #}\n  x",
    "a\n    {% if true %}\n    b\n    {% endif %}\nc\n",
    "a\n\t {%- if true %}\n  b  {%- endif -%}\n   c",
    "a\n    {%+ if true %}\n    b{% endif +%}\nc",
    "    {{ n }}\n  {{- n -}}  \n x",
    "{% if true %}\n\n\na{% endif %}\n\n",
    "x\n\n\n",
    "x\r\ny\r\n",
    "{%- for x in xs %}\n    {{- x }}\n{%- endfor %}",
    "  {% set x = 1 %}  {% set y = 2 %}\n{{ x }}",
    "a{% if true %}   \n  b{% endif %}",
    "{%if true%}a{%endif%}",
    "{% generation %}g{{ n }}{% endgeneration %}|",
    "a{% for x in xs %}{% generation %}{{ x }}{% endgeneration %}-{% endfor %}",
    "{% if true %}{% generation %}\n  a\n  {% endgeneration %}\n{% endif %}b",
    "{% set v = 1 %}{% generation %}{% set v = 2 %}{{ v }}{% endgeneration %}{{ v }}",
    "{% for x in xs %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% break %}",
    "{% frob %}",
    "{% if true %}",
    "{{ 'a }}",
    "{{ a b }}",
    "{{ }}",
    "{% for x xs %}{% endfor %}",
    "{% endfor %}",
    "{{ (1 }}",
    "{% set %}",
    "{% set 5 = 1 %}",
    "{# open",
    "{% raw %}open",
    "{{ {'a': {'b': 1}} }}{{ {'a':1}}}",
    "{{ '}}' }}{{ \"%}\" }}",
    "{{ 'a\nb' }}",
    "{{ \"it's\" }}{{ 'say \"x\"' }}",
    "{% block a %}x{% endblock %}",
    "{% include 'x' %}",
    "{{ xs[0] }}{{ xs [ 1 ] }}{{xs.0}}",
    "{{ [1, 2,] }}{{ (1, 2,) }}{{ {'a': 1,} }}{{ m }}",
    "{{ range(*[1, 4])|list }}{{ dict(**{'a': 1}) }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{% set j = joiner('; ') %}{{ j() }}a{{ j() }}b",
    "{% set x = [] %}{% set x = x + [1] %}{{ x }}{% set x = x + [2] %}{{ x }}",
    "{% set content = messages[0].content %}{{ content }}{{ messages[-1]['role'] }}{{ messages[1:]|length }}",
    "{{ messages[::-1]|map(attribute='role')|join }}{{ tools is none }}{{ tools }}{{ documents }}{{ add_generation_prompt }}",
    "{{ bos_token }}{{ eos_token }}{{ sep_token }}",
    "{%- macro r(v, depth=0) -%}{%- if v is mapping -%}{{ '{' }}{%- for k, x in v|dictsort -%}{{ k }}:{{ r(x, depth + 1) }}{% if not loop.last %},{% endif %}{%- endfor -%}{{ '}' }}{%- elif v is string -%}'{{ v }}'{%- elif v is iterable -%}[{%- for x in v -%}{{ r(x, depth + 1) }}{% if not loop.last %},{% endif %}{%- endfor -%}]{%- else -%}{{ v }}{%- endif -%}{%- endmacro -%}{{ r({'q': nested, 'z': xs, 'y': [none, true, 1.5]}) }}",
    "{{ loop }}|{{ loop is defined }}",
    "{% for x in xs %}{{ self }}{% endfor %}",
    "{{ 1 if false }}|{{ (1 if false) is defined }}",
    "{% print n, s %}",
    "{% do 1 %}",
    "{{ xs|sort|first }}{{ xs|sort|last }}{{ xs|list|sort(true) }}",
    "{{ s|replace('l', 'L')|trim|length }}",
    "{{ '%s' % e }}{{ '%5s' % '😀' }}|{{ '😀'|center(5) }}|{{ '😀x'.find('x') }}",
    "{{ d.items }}",
    "{{ d.keys() }}",
    "{{ namespace(a=1) }}",
    "{{ xs|map('string') }}",
    "{{ (xs|groupby(0))|length }}",
    "{% for g, items in rows|groupby('g') %}{{ g }}:{{ items|map(attribute='n')|join(',') }};{% endfor %}",
    "{{ dict(d).a }}{{ dict(d, b=5).b }}",
    "{{ 'x' is string and 'y' is defined or 1 }}",
    "{{ 1 is not string }}{{ not 1 is string }}{{ 1 is string or 2 is number }}",
    "{{ s.split()[0].lower()[:2] ~ (s.split()|last) }}",
    "{{ [d, {'a': 1}]|map(attribute='a')|list }}",
    "{{ rows|sort(attribute='v') }}",
    "{{ rows[:2]|sort(attribute='v')|map(attribute='n')|join }}",
    "{{ rows[:2]|sum(attribute='v') }}",
    "{{ [[1, 'b'], [1, 'a']]|sort }}",
    "{{ ['b', 'A', 'a', 'B']|sort }}{{ ['b', 'A', 'a', 'B']|dictsort }}",
]

CONSTRUCTS["templates"] = [
    *("[{{ " + each.strip().replace("\\\\", "\\") + " }}]" for line in EXPRESSIONS.split("\n") for each in line.split(" | ")),
    *STATEMENTS,
]
