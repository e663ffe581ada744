"""A small SentencePiece vocabulary as GGUF metadata has it, and how SentencePiece itself encodes and decodes texts with it.

    python3 make_sentencepiece_fixture.py

Needs the package `sentencepiece`.
"""

import io
import json
import pathlib
import random

import sentencepiece

out = pathlib.Path(__file__).parent.parent / "test" / "fixtures" / "sentencepiece.json"
WORDS = "the of a model trains on many short texts and then it writes others about cats dogs rivers in the city of Paris".split()


def sentences():
    draw = random.Random(0)
    for _ in range(400):
        yield " ".join(draw.choice(WORDS) for _ in range(draw.randint(2, 14))) + draw.choice([".", "!", "?", " 12", "\u00e9"])


def train(prefix):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences(),
        model_writer=model,
        model_type="bpe",
        vocab_size=420,
        byte_fallback=True,
        add_dummy_prefix=prefix,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        allow_whitespace_only_pieces=True,
        split_digits=True,
        user_defined_symbols=["<turn>"],
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def kind(model, id):
    if model.is_unknown(id):
        return 2
    if model.is_control(id):
        return 3
    if model.is_byte(id):
        return 6
    return 4 if model.id_to_piece(id) == "<turn>" else 1


def texts():
    draw = random.Random(1)
    yield from ["", " ", "  ", "a", " the", "the  city ", "\n\n", "\u00fc\u4f60\U0001f600 cats", "Paris\tin\r\n1234"]
    for _ in range(150):
        parts = [draw.choice([*WORDS, " ", "  ", "\n", "7", "\u00e9", "\u2581", "x", "THE", "-"]) for _ in range(draw.randint(1, 9))]
        yield draw.choice(["", " "]).join(parts)


def main():
    cases = []
    for prefix in (True, False):
        model = train(prefix)
        size = model.vocab_size()
        cases.append(
            {
                "metadata": {
                    "tokenizer.ggml.model": "llama",
                    "tokenizer.ggml.tokens": [model.id_to_piece(id) for id in range(size)],
                    "tokenizer.ggml.scores": [model.get_score(id) for id in range(size)],
                    "tokenizer.ggml.token_type": [kind(model, id) for id in range(size)],
                    "tokenizer.ggml.bos_token_id": model.bos_id(),
                    "tokenizer.ggml.eos_token_id": model.eos_id(),
                    "tokenizer.ggml.unknown_token_id": model.unk_id(),
                    **({} if prefix else {"tokenizer.ggml.add_space_prefix": False}),
                },
                "texts": [[text, model.encode(text), model.decode(model.encode(text))] for text in texts()],
            }
        )
    out.write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")


main()
