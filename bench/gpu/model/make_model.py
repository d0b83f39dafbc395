# SPDX-License-Identifier: Apache-2.0
"""Writes a GGUF file of a Llama-shaped model with random bf16 weights, the same bytes for the same seed and shape.

  python3 make_model.py SHAPE FILE [--seed 7] [--tokenizer GGUF]      SHAPE: tiny, smollm2, llama8b-2 (two layers), llama8b
  python3 make_model.py tokenizer FILE --tokenizer GGUF               a file without weights, to be given as --tokenizer elsewhere
A server loads only files with a tokenizer: that of another GGUF file (byte-level BPE), cut or lengthened to the shape's vocabulary.
Large shapes need numpy. Weights of llama8b repeat a block of random values: it is for speed, not for correctness.
"""
import argparse
import math
import mmap
import random
import struct

SHAPES = {  # layers, width, heads, KV heads, head dim, feed-forward, vocabulary, context, rope base, tied
    "tiny": (2, 64, 4, 2, 64, 128, 304, 1024, 10000.0, False),
    "smollm2": (30, 576, 9, 3, 64, 1536, 49152, 8192, 100000.0, True),
    "llama8b-2": (2, 4096, 32, 8, 128, 14336, 128256, 8192, 500000.0, False),
    "llama8b": (32, 4096, 32, 8, 128, 14336, 128256, 8192, 500000.0, False),
}
F32, BF16 = 0, 30
NO_TOKENIZER = struct.pack("<Q", 27) + b"tokenizer.ggml.eos_token_id" + struct.pack("<II", 4, 2)
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


class Tokenizer:
    """The `tokenizer.*` metadata of a GGUF file, as it lies there."""
    SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    STRING, LIST = 8, 9

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, _, _, count = struct.unpack_from("<4sIQQ", self.data)
        if magic != b"GGUF":
            raise SystemExit(f"{path} is no GGUF file")
        self.pairs, at = {}, 24
        for _ in range(count):
            value = self.end(at, self.STRING) + 4
            key, kind = self.data[at + 8:value - 4].decode(), struct.unpack_from("<I", self.data, value - 4)[0]
            at = self.end(value, kind)
            if key.startswith("tokenizer."):
                self.pairs[key] = (kind, self.data[value:at])
        if not {"tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type"} <= set(self.pairs):
            raise SystemExit(f"{path} has no tokenizer")

    def end(self, at, kind):
        """Where the value of that kind at `at` ends."""
        if kind == self.STRING:
            return at + 8 + struct.unpack_from("<Q", self.data, at)[0]
        if kind != self.LIST:
            return at + self.SIZES[kind]
        item, n = struct.unpack_from("<IQ", self.data, at)
        at += 12
        if item in self.SIZES:
            return at + n * self.SIZES[item]
        for _ in range(n):
            at = self.end(at, item)
        return at

    def strings(self, key):
        value, at, out = self.pairs[key][1], 12, []
        for _ in range(struct.unpack_from("<IQ", value)[1]):
            n, = struct.unpack_from("<Q", value, at)
            out.append(value[at + 8:at + 8 + n])
            at += 8 + n
        return out

    def metadata(self, vocabulary):
        """Pairs ready to be written, for the first `vocabulary` tokens; what is missing of them is unused."""
        text = lambda s: struct.pack("<Q", len(s)) + s
        listed = lambda items: struct.pack("<IQ", self.STRING, len(items)) + b"".join(map(text, items))
        tokens, types = self.strings("tokenizer.ggml.tokens")[:vocabulary], self.pairs["tokenizer.ggml.token_type"][1][12:][:4 * vocabulary]
        known, halves = set(tokens), lambda merge: (merge[:merge.index(b" ", 1)], merge[merge.index(b" ", 1) + 1:])
        merges = [m for m in self.strings("tokenizer.ggml.merges") if {*halves(m), b"".join(halves(m))} <= known]
        more = range(len(tokens), vocabulary)
        new = {"tokenizer.ggml.tokens": listed(tokens + [f"<unused{i}>".encode() for i in more]), "tokenizer.ggml.merges": listed(merges),
               "tokenizer.ggml.token_type": struct.pack("<IQ", 5, vocabulary) + types + struct.pack("<i", 5) * len(more)}
        for key, (kind, value) in self.pairs.items():
            yield text(key.encode()) + struct.pack("<I", kind) + new.get(key, value)


def metadata(shape):
    layers, width, heads, kv_heads, dim, ff, _, context, base, _ = SHAPES[shape]
    text = lambda s: struct.pack("<Q", len(s)) + s.encode()
    pair = lambda key, kind, value: text(key) + struct.pack("<I", kind) + value
    unsigned = lambda key, value: pair(key, 4, struct.pack("<I", value))
    real = lambda key, value: pair(key, 6, struct.pack("<f", value))
    return [pair("general.architecture", 8, text("llama")), pair("general.name", 8, text(shape)), unsigned("llama.block_count", layers),
            unsigned("llama.embedding_length", width), unsigned("llama.feed_forward_length", ff), unsigned("llama.context_length", context),
            unsigned("llama.attention.head_count", heads), unsigned("llama.attention.head_count_kv", kv_heads), unsigned("llama.attention.key_length", dim),
            real("llama.attention.layer_norm_rms_epsilon", 1e-5), real("llama.rope.freq_base", base)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=[*SHAPES, "tokenizer"])
    parser.add_argument("file")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tokenizer", help="a GGUF file")
    asked = parser.parse_args()
    tokenizer = Tokenizer(asked.tokenizer) if asked.tokenizer else None
    alone = asked.shape == "tokenizer"
    listed, pairs = ([], []) if alone else (list(tensors(asked.shape)), metadata(asked.shape))
    if tokenizer:
        pairs += tokenizer.metadata(len(tokenizer.strings("tokenizer.ggml.tokens")) if alone else SHAPES[asked.shape][6])
    else:
        pairs.append(NO_TOKENIZER)
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
