# SPDX-License-Identifier: Apache-2.0
"""Writes tokens.txt: 20,000 lines with the hash and count of their ids by HF tokenizers, built by hand from the GGUF file.

  pip install tokenizers gguf numpy;  python3 tests/golden/text/make_tokens.py MODEL.gguf
"""
import json
import pathlib
import random
import sys

import gguf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

COUNT = 20000
RANGES = [(0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF),
          (0x2000, 0x206F), (0x2190, 0x21FF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF), (0x1D400, 0x1D7FF), (0xFE00, 0xFE0F)]
EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇫🇷🇩🇪", "❤️", "🧑🏿‍🚀", "1️⃣", "🤷🏻‍♀️"]
CODE = ["def f(x):\n    return x**2 # ok", "for (int i=0;i<n;++i){ a[i]+=b[i]; }", "SELECT * FROM t WHERE id=42;", "<div class=\"a\">&nbsp;</div>", "\t\tif err != nil {\n\t\t\treturn err\n\t\t}",
        "https://example.org/a?b=c&d=%20", "0xDEADBEEF 3.14159e-10", "don't we'll I'M they'Re it'S y'all", "<|im_start|>user\nhi<|im_end|>", "<|endoftext|>"]
WORDS = "the of and a to in is you that it he was for on are with as I his they be at one have this from or had by hot word but what some we can out other were all there when up use your how said an each she".split()
SPACES = [" ", "  ", "\n", "\n\n", "\t", " \n ", "\u00a0", "\u2003", "\r\n", "   "]


def line(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return "".join(chr(rng.randint(*rng.choice(RANGES))) for _ in range(rng.randint(1, 24)))
    if kind == 1:
        low, high = rng.choice(RANGES)
        return " ".join("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 7))) for _ in range(rng.randint(1, 5)))
    if kind == 2:
        return "".join(rng.choice(EMOJI + WORDS) + rng.choice(["", " "]) for _ in range(rng.randint(1, 6)))
    if kind == 3:
        return rng.choice(CODE) + rng.choice(SPACES) + rng.choice(CODE)[: rng.randint(0, 20)]
    if kind == 4:
        return rng.choice(SPACES).join(str(rng.randint(0, 10 ** rng.randint(1, 9))) for _ in range(rng.randint(1, 5)))
    if kind == 5:
        return "".join(rng.choice(SPACES + WORDS) for _ in range(rng.randint(1, 12)))
    if kind == 6:
        return "".join(chr(rng.choice([rng.randint(0, 0x7F), rng.randint(0x80, 0x7FF), rng.randint(0x800, 0xD7FF), rng.randint(0xE000, 0xFFFF), rng.randint(0x10000, 0x10FFFF)]))
                       for _ in range(rng.randint(1, 10)))
    return "".join(rng.choice(WORDS).capitalize() + rng.choice([" ", ", ", ". ", "'s ", "-", "\n"]) for _ in range(rng.randint(1, 10)))


def reference(path):
    fields = gguf.GGUFReader(path).fields
    strings = lambda key: [bytes(fields[key].parts[i]).decode() for i in fields[key].data]
    tokens, merges = strings("tokenizer.ggml.tokens"), strings("tokenizer.ggml.merges")
    types = [int(fields["tokenizer.ggml.token_type"].parts[i][0]) for i in fields["tokenizer.ggml.token_type"].data]
    vocabulary = {t: i for i, t in enumerate(tokens) if types[i] == 1}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(m.split(" ", 1)) for m in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def fnv(ids):
    h = 0x811C9DC5
    for i in ids:
        for shift in (0, 8, 16, 24):
            h = ((h ^ ((i >> shift) & 255)) * 0x01000193) & 0xFFFFFFFF
    return h


if __name__ == "__main__":
    rng = random.Random(20261126)
    tokenizer = reference(sys.argv[1])
    out = pathlib.Path(__file__).with_name("tokens.txt").open("w", encoding="utf-8")
    for _ in range(COUNT):
        text = line(rng)
        ids = tokenizer.encode(text).ids
        out.write(f"{fnv(ids):08x} {len(ids)} {json.dumps(text, ensure_ascii=False)}\n")
