# SPDX-License-Identifier: Apache-2.0
"""Tokenworks `serve` against llama.cpp on the same GGUF file and threads, interleaved in one run.

Needs a Python with llama-cpp-python 0.3.36 built natively from source, and the target floor_bench. Nothing else may run on the machine.
  python3 bench/peers/against_llama_cpp.py --model FILE [--build build/cpu-release] [--rounds 5] [--threads 2]
Writes JSON: medians, ratios, the CPU, and each figure's share of its floor: decode reads all weights and the context's KV once a
step (bytes / measured read bandwidth); prefill multiplies every layer's weights with every token, attends, and computes one row of
the head (operations / measured peak of the integer dots; attention at the float peak).
"""
import argparse
import concurrent.futures
import ctypes
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import llama_cpp as L


class Llama:
    """llama.cpp through its C API: decode of one stream, of eight, and prefill. `flash` as the peer does best."""

    def __init__(self, path, threads, flash):
        L.llama_log_set(self._quiet(), ctypes.c_void_p(0))
        parameters = L.llama_model_default_params()
        self.model = L.llama_model_load_from_file(path.encode(), parameters)
        context = L.llama_context_default_params()
        context.n_ctx, context.n_batch, context.n_ubatch = 8192, 512, 512
        context.n_seq_max, context.kv_unified = 8, True
        context.n_threads = context.n_threads_batch = threads
        context.flash_attn_type = 1 if flash else 0
        self.context = L.llama_init_from_model(self.model, context)
        self.batch = L.llama_batch_init(512, 0, 1)

    def _quiet(self):
        self._log = L.llama_log_callback(lambda level, text, data: None)
        return self._log

    def clear(self):
        L.llama_memory_clear(L.llama_get_memory(self.context), True)

    def step(self, rows):
        """rows: (token, position, sequence, wants logits)"""
        for i, (token, position, sequence, logits) in enumerate(rows):
            self.batch.token[i], self.batch.pos[i], self.batch.n_seq_id[i] = token, position, 1
            self.batch.seq_id[i][0], self.batch.logits[i] = sequence, logits
        self.batch.n_tokens = len(rows)
        assert L.llama_decode(self.context, self.batch) == 0
        L.llama_synchronize(self.context)

    def prefill(self, ids):
        self.clear()
        start = time.perf_counter()
        self.step([(t, i, 0, i == len(ids) - 1) for i, t in enumerate(ids)])
        return len(ids) / (time.perf_counter() - start)

    def decode(self, prompts, tokens):
        self.clear()
        for s, ids in enumerate(prompts):
            self.step([(t, i, s, i == len(ids) - 1) for i, t in enumerate(ids)])
        start = time.perf_counter()
        for k in range(tokens):
            self.step([(1000 + k, len(ids) + k, s, True) for s, ids in enumerate(prompts)])
        return tokens * len(prompts) / (time.perf_counter() - start)


class Ours:
    def __init__(self, binary, path, threads):
        home = tempfile.mkdtemp()
        self.process = subprocess.Popen([binary, "serve", path, "--port", "0", "--threads", str(threads), "--set", "engine.prefix_cache=false"],
                                        stdout=subprocess.PIPE, text=True, env=dict(os.environ, TOKENWORKS_HOME=home))
        for line in self.process.stdout:
            if "http://127.0.0.1:" in line:
                self.port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
                break

    def complete(self, ids, tokens):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        body = {"model": "default", "prompt": ids, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True}
        start = time.perf_counter()
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        times = []
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                times.append(time.perf_counter())
        return start, times

    def prefill(self, ids):
        start, times = self.complete(ids, 1)
        return len(ids) / (times[0] - start)

    def decode(self, prompts, tokens):
        with concurrent.futures.ThreadPoolExecutor(len(prompts)) as pool:
            results = list(pool.map(lambda ids: self.complete(ids, tokens + 1), prompts))
        first = max(times[0] for _, times in results)
        last = min(times[-1] for _, times in results)
        inside = sum(sum(1 for t in times if first < t <= last) for _, times in results)
        return inside / (last - first)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def floors(measured, threads):
    """Tokens per second that the hardware's limits allow, by case."""
    f = measured
    read, dots, floats = f["read_gb_per_s"] * 1e9, f["int8_gop_per_s"] * 1e9, f["float_gflop_per_s"] * 1e9
    prefill = (512 * f["layer_operations_per_token"] + f["head_operations"]) / dots + f["attention_operations_per_position"] * 512 * 513 / 2 / floats
    decode = lambda streams, context: (f["weight_bytes"] + streams * context * f["kv_bytes_per_position"]) / read
    compute = lambda streams: streams * (f["layer_operations_per_token"] + f["head_operations"]) / dots
    return {"prefill 512": 512 / prefill, "decode 1 at 128": 1 / max(decode(1, 160), compute(1)), "decode 8 at 128": 8 / max(decode(8, 152), compute(8))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--build", default="build/cpu-release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    rng = random.Random(1)
    ids = lambda n: [rng.randrange(1000, 40000) for _ in range(n)]
    peers = {"llama.cpp": Llama(options.model, options.threads, False), "llama.cpp flash": Llama(options.model, options.threads, True),
             "tokenworks": Ours(options.build + "/bin/tokenworks", options.model, options.threads)}
    cases = {"prefill 512": lambda p: p.prefill(ids(512)), "decode 1 at 128": lambda p: p.decode([ids(128)], 64),
             "decode 8 at 128": lambda p: p.decode([ids(128) for _ in range(8)], 48)}
    seen = {case: {name: [] for name in peers} for case in cases}
    for _ in range(options.rounds + 1):  # the first round warms up
        for case, measure in cases.items():
            for name, peer in peers.items():
                seen[case][name].append(measure(peer))
    peers["tokenworks"].stop()
    measured = [json.loads(subprocess.check_output([options.build + "/bench/floor_bench", options.model, str(options.threads)])) for _ in range(3)]
    ceiling = max(measured, key=lambda m: m["read_gb_per_s"])
    ceiling["int8_gop_per_s"] = max(m["int8_gop_per_s"] for m in measured)
    floor = floors(ceiling, options.threads)
    report = {"threads": options.threads, "rounds": options.rounds, "ceilings": ceiling, "tokens_per_second": {}, "ratio_to_best_peer": {}, "share_of_floor": {}}
    for case, by_name in seen.items():
        medians = {name: statistics.median(values[1:]) for name, values in by_name.items()}
        report["tokens_per_second"][case] = {k: round(v, 1) for k, v in medians.items()}
        report["share_of_floor"][case] = {k: round(v / floor[case], 3) for k, v in medians.items()}
        report["ratio_to_best_peer"][case] = round(medians["tokenworks"] / max(v for k, v in medians.items() if k != "tokenworks"), 2)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    sys.exit(main())
