# SPDX-License-Identifier: Apache-2.0
"""Writes logits.bin, text_ids.txt and perplexity.json: PyTorch on the dequantised weights of the default model.

  pip install torch transformers gguf tokenizers numpy
  python3 tests/golden/model/make_logits.py MODEL.gguf

logits.bin, little-endian: "TWLG", u32 prompts; per prompt u32 n and n i32 token ids, then per position f32 log-sum-exp of all
logits and the 64 largest as (i32 id, f32 logit). text_ids.txt: 8,192 token ids of this repository's own pages.
perplexity.json: of that text in windows of 1,024 tokens, each read on its own; every token but a window's first counts.
"""
import json
import math
import pathlib
import struct
import sys

import torch
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / "text"))
from make_tokens import reference  # noqa: E402  the tokenizer, built from the same file

TOP, WINDOW, TEXT_TOKENS = 64, 1024, 8192
PROMPTS = [
    "The capital of France is Paris, and the capital of Italy is Rome. The capital of Spain is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n\nprint([fibonacci(i) for i in range(10)])\n",
    "Once upon a time, in a village at the edge of a dark forest, there lived an old clockmaker who had never once been late.",
    "Die Wärmepumpe nimmt Wärme aus der Umgebung auf und gibt sie bei höherer Temperatur wieder ab. Dafür braucht sie",
    "在人工智能领域，语言模型通过大量文本学习预测下一个词。",
    "Q: A train leaves at 9:40 and arrives at 13:05. How long is the journey?\nA: From 9:40 to 13:05 there are 3 hours and 25 minutes.",
    '{"name": "tokenworks", "version": "0.1.0", "workers": [{"id": "prefill-0", "role": "prefill"}, {"id": "decode-0", "role": ',
    "SELECT customer, SUM(amount) AS total FROM orders WHERE day >= '2024-01-01' GROUP BY customer ORDER BY total DESC LIMIT 10;",
    "   \n\n\t1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30",
    "The quick brown fox jumps over the lazy dog. " * 9,
]


def load(path):
    path = pathlib.Path(path)
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()


@torch.no_grad()
def write_logits(model, tokenizer):
    out = struct.pack("<4sI", b"TWLG", len(PROMPTS))
    for text in PROMPTS:
        ids = tokenizer.encode(text).ids
        logits = model(torch.tensor([ids])).logits[0].double()
        out += struct.pack(f"<I{len(ids)}i", len(ids), *ids)
        values, indices = logits.topk(TOP, dim=-1)
        for lse, v, i in zip(logits.logsumexp(-1).tolist(), values.tolist(), indices.tolist()):
            out += struct.pack("<f", lse) + b"".join(struct.pack("<if", *pair) for pair in zip(i, v))
    (HERE / "logits.bin").write_bytes(out)


@torch.no_grad()
def write_perplexity(model, tokenizer):
    listed = HERE / "text_ids.txt"
    if not listed.exists():
        pages = "".join((ROOT / name).read_text() for name in ("LICENSE", "ARCHITECTURE.md", "NUMERICS.md", "README.md", "CHANGELOG.md"))
        sources = "".join(p.read_text() for p in sorted((ROOT / "src/engine/scheduler").glob("*.cc")))
        ids = tokenizer.encode(pages + sources).ids[:TEXT_TOKENS]
        listed.write_text("\n".join(" ".join(map(str, ids[i:i + 32])) for i in range(0, len(ids), 32)) + "\n")
    ids = [int(x) for x in listed.read_text().split()]
    assert len(ids) == TEXT_TOKENS, len(ids)
    total, count = 0.0, 0
    for begin in range(0, TEXT_TOKENS, WINDOW):
        window = torch.tensor(ids[begin:begin + WINDOW])
        logprobs = model(window[None]).logits[0].double().log_softmax(-1)
        total -= logprobs[:-1].gather(1, window[1:, None]).sum().item()
        count += WINDOW - 1
    (HERE / "perplexity.json").write_text(json.dumps({"tokens": count, "window": WINDOW, "perplexity": math.exp(total / count)}) + "\n")


if __name__ == "__main__":
    model, tokenizer = load(sys.argv[1]), reference(sys.argv[1])
    write_logits(model, tokenizer)
    write_perplexity(model, tokenizer)
