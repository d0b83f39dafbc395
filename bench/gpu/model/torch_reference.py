# SPDX-License-Identifier: Apache-2.0
"""Holds the logits that executor_bench has written against PyTorch's, on the same GGUF file (bf16 weights).

  python3 torch_reference.py MODEL.gguf LOGITS.bin [--json FILE]
Fails when a logit differs by more than 2 % of the largest one from PyTorch in bf16, or when the largest logit's token differs on more than 1 % of
the positions whose reference margin exceeds that bound.
"""
import argparse
import json
import mmap
import struct

import torch

BOUND = 2e-2


def read_gguf(path):
    """Metadata and tensors (as views of the mapped file) of a file by make_model.py."""
    file = open(path, "rb")
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    magic, _, count, pairs = struct.unpack_from("<4sIQQ", data)
    assert magic == b"GGUF", path
    at, meta = 24, {}

    def text():
        nonlocal at
        n, = struct.unpack_from("<Q", data, at)
        at += 8 + n
        return data[at - n:at].decode()

    for _ in range(pairs):
        key = text()
        kind, = struct.unpack_from("<I", data, at)
        at += 4
        if kind == 8:
            meta[key] = text()
        else:
            meta[key], = struct.unpack_from({4: "<I", 6: "<f"}[kind], data, at)
            at += 4
    listed = []
    for _ in range(count):
        name = text()
        n, = struct.unpack_from("<I", data, at)
        *dims, kind, offset = struct.unpack_from(f"<{n}QIQ", data, at + 4)
        at += 4 + 8 * n + 12
        listed.append((name, dims, kind, offset))
    start, tensors = (at + 31) // 32 * 32, {}
    for name, dims, kind, offset in listed:
        n = 1
        for d in dims:
            n *= d
        flat = torch.frombuffer(bytearray(data[start + offset:start + offset + n * (4 if kind == 0 else 2)]), dtype=torch.float32 if kind == 0 else torch.bfloat16)
        tensors[name] = flat.reshape(dims[::-1])
    return meta, tensors


def forward(meta, weights, tokens, dtype, device):
    """Logits of every position, [tokens][vocabulary], in float32."""
    get = lambda key: meta["llama." + key]
    heads, kv_heads, dim, eps = get("attention.head_count"), get("attention.head_count_kv"), get("attention.key_length"), get("attention.layer_norm_rms_epsilon")
    w = lambda name: weights[name].to(device, dtype)
    n = len(tokens)
    angles = torch.outer(torch.arange(n, dtype=torch.float64), get("rope.freq_base") ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim))
    cos, sin = (f(angles).to(device, torch.float32)[:, None] for f in (torch.cos, torch.sin))

    def rope(x):  # neighbours (2i, 2i + 1), as files of this architecture hold Q and K
        pairs = x.float().unflatten(-1, (dim // 2, 2))
        a, b = pairs[..., 0], pairs[..., 1]
        return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).to(dtype)

    def norm(x, name):
        x = x.float()
        return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weights[name].to(device)).to(dtype)

    x = w("token_embd.weight")[torch.tensor(tokens, device=device)]
    for l in range(get("block_count")):
        p = f"blk.{l}."
        h = norm(x, p + "attn_norm.weight")
        q = rope((h @ w(p + "attn_q.weight").T).view(n, heads, dim))
        k = rope((h @ w(p + "attn_k.weight").T).view(n, kv_heads, dim)).repeat_interleave(heads // kv_heads, 1)
        v = (h @ w(p + "attn_v.weight").T).view(n, kv_heads, dim).repeat_interleave(heads // kv_heads, 1)
        a = torch.nn.functional.scaled_dot_product_attention(*(t.transpose(0, 1) for t in (q, k, v)), is_causal=True)
        x = x + a.transpose(0, 1).reshape(n, heads * dim) @ w(p + "attn_output.weight").T
        h = norm(x, p + "ffn_norm.weight")
        x = x + (torch.nn.functional.silu(h @ w(p + "ffn_gate.weight").T) * (h @ w(p + "ffn_up.weight").T)) @ w(p + "ffn_down.weight").T
    head = "output.weight" if "output.weight" in weights else "token_embd.weight"
    return (norm(x, "output_norm.weight") @ w(head).T).float().cpu()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("logits")
    parser.add_argument("--json")
    asked = parser.parse_args()
    meta, weights = read_gguf(asked.model)
    data = open(asked.logits, "rb").read()
    vocabulary, tokens_count, records = struct.unpack_from("<3i", data)
    tokens = list(struct.unpack_from(f"<{tokens_count}i", data, 12))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    expected = forward(meta, weights, tokens, torch.bfloat16, device)
    at, worst, decided, agree = 12 + 4 * tokens_count, {}, 0, 0
    for _ in range(records):
        kind, position = struct.unpack_from("<2i", data, at)
        ours = torch.frombuffer(bytearray(data[at + 8:at + 8 + 4 * vocabulary]), dtype=torch.float32)
        at += 8 + 4 * vocabulary
        reference = expected[position, :vocabulary]
        largest = reference.abs().max()
        worst[kind] = max(worst.get(kind, 0.0), float((ours - reference).abs().max() / largest))
        top = reference.topk(2).values
        if top[0] - top[1] > BOUND * largest:
            decided += 1
            agree += int(ours.argmax() == reference.argmax())
    names = {0: "one row", 1: "chunks", 2: "16 rows"}
    result = {"model": meta["general.name"], "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "torch": torch.__version__, "positions": records,
              "worst": {names[k]: round(v, 5) for k, v in sorted(worst.items())}, "decided": decided, "argmax_equal": agree,
              "ok": max(worst.values()) <= BOUND and agree >= 0.99 * decided}
    print(json.dumps(result))
    if asked.json:
        json.dump(result, open(asked.json, "w"), indent=1)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
