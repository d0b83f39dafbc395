# SPDX-License-Identifier: Apache-2.0
"""Writes a GGUF file of a Llama-shaped model with random bf16 weights, the same bytes for the same seed and shape.

  python3 make_model.py SHAPE FILE [--seed 7]      SHAPE: tiny, smollm2, llama8b-2 (two layers), llama8b
Large shapes need numpy. Weights of llama8b repeat a block of random values: it is for speed, not for correctness.
"""
import argparse
import math
import random
import struct

SHAPES = {  # layers, width, heads, KV heads, head dim, feed-forward, vocabulary, context, rope base, tied
    "tiny": (2, 64, 4, 2, 64, 128, 304, 1024, 10000.0, True),
    "smollm2": (30, 576, 9, 3, 64, 1536, 49152, 8192, 100000.0, True),
    "llama8b-2": (2, 4096, 32, 8, 128, 14336, 128256, 8192, 500000.0, False),
    "llama8b": (32, 4096, 32, 8, 128, 14336, 128256, 8192, 500000.0, False),
}
F32, BF16 = 0, 30
ALIGNMENT = 32


def tensors(shape):
    """(name, columns, rows, type, spread) in the file's order; norms lie around 1."""
    layers, width, heads, kv_heads, dim, ff, vocabulary, _, _, tied = SHAPES[shape]
    spread = lambda inputs: 1.0 / math.sqrt(inputs)
    yield "token_embd.weight", width, vocabulary, BF16, 1.0
    yield "output_norm.weight", width, 1, F32, 0.1
    if not tied:
        yield "output.weight", width, vocabulary, BF16, spread(width)
    for l in range(layers):
        p = f"blk.{l}."
        yield p + "attn_norm.weight", width, 1, F32, 0.1
        yield p + "ffn_norm.weight", width, 1, F32, 0.1
        for name, columns, rows in (("attn_q", width, heads * dim), ("attn_k", width, kv_heads * dim), ("attn_v", width, kv_heads * dim),
                                    ("attn_output", heads * dim, width), ("ffn_gate", width, ff), ("ffn_up", width, ff), ("ffn_down", ff, width)):
            yield p + name + ".weight", columns, rows, BF16, spread(columns)


class Values:
    """Uniform in (-1, 1) times a spread, as bytes of the tensor's type."""

    def __init__(self, seed, repeat):
        try:
            import numpy
            self.numpy, self.generator = numpy, numpy.random.default_rng(seed)
        except ImportError:
            self.numpy, self.generator = None, random.Random(seed)
        self.block = self.uniform(1 << 24) if repeat else None

    def uniform(self, n):
        if self.numpy is None:
            return [self.generator.uniform(-1, 1) for _ in range(n)]
        return self.generator.random(n, dtype=self.numpy.float32) * 2 - 1

    def bytes(self, n, spread, kind):
        if self.numpy is None:
            values = [x * spread + (1.0 if kind == F32 else 0.0) for x in self.uniform(n)]
            packed = struct.pack(f"<{n}f", *values)
            return packed if kind == F32 else b"".join(packed[i + 2:i + 4] for i in range(0, 4 * n, 4))
        x = self.numpy.resize(self.block, n) if self.block is not None else self.uniform(n)
        x = x * self.numpy.float32(spread) + self.numpy.float32(1.0 if kind == F32 else 0.0)
        return x.tobytes() if kind == F32 else (x.view(self.numpy.uint32) >> 16).astype(self.numpy.uint16).tobytes()


def metadata(shape):
    layers, width, heads, kv_heads, dim, ff, _, context, base, _ = SHAPES[shape]
    text = lambda s: struct.pack("<Q", len(s)) + s.encode()
    pair = lambda key, kind, value: text(key) + struct.pack("<I", kind) + value
    unsigned = lambda key, value: pair(key, 4, struct.pack("<I", value))
    real = lambda key, value: pair(key, 6, struct.pack("<f", value))
    return [pair("general.architecture", 8, text("llama")), pair("general.name", 8, text(shape)), unsigned("llama.block_count", layers),
            unsigned("llama.embedding_length", width), unsigned("llama.feed_forward_length", ff), unsigned("llama.context_length", context),
            unsigned("llama.attention.head_count", heads), unsigned("llama.attention.head_count_kv", kv_heads), unsigned("llama.attention.key_length", dim),
            real("llama.attention.layer_norm_rms_epsilon", 1e-5), real("llama.rope.freq_base", base), unsigned("tokenizer.ggml.eos_token_id", 2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    listed, pairs = list(tensors(asked.shape)), metadata(asked.shape)
    padded = lambda n: (n + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    size = lambda columns, rows, kind: columns * rows * (4 if kind == F32 else 2)
    head, at = struct.pack("<4sIQQ", b"GGUF", 3, len(listed), len(pairs)) + b"".join(pairs), 0
    for name, columns, rows, kind, _ in listed:
        dims = (columns,) if rows == 1 else (columns, rows)
        head += struct.pack("<Q", len(name)) + name.encode() + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, at)
        at += padded(size(columns, rows, kind))
    values = Values(asked.seed, repeat=asked.shape == "llama8b")
    with open(asked.file, "wb") as out:
        out.write(head.ljust(padded(len(head)), b"\0"))
        for _, columns, rows, kind, spread in listed:
            data = values.bytes(columns * rows, spread, kind)
            out.write(data.ljust(padded(len(data)), b"\0"))
    print(f"{asked.file}: {asked.shape}, {at / 1e6:.1f} MB of weights")


if __name__ == "__main__":
    main()
