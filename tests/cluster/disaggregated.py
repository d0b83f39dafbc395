# SPDX-License-Identifier: Apache-2.0
"""It is disaggregated: the decode worker computes no prompt token, and the KV leaves while later layers are computed.

  python3 tests/cluster/disaggregated.py
"""
import json
import pathlib
import sys
import tempfile

import varied_requests
from cluster import cluster

LONG = {"model": "default", "temperature": 0, "max_tokens": 16, "logprobs": 0, "return_token_ids": True}
CHECKS = []


def check(name, holds, seen):
    CHECKS.append(bool(holds))
    print(f"{'ok    ' if holds else 'FAILED'} {name}: {seen}")


def prompt_ids(count, salt):
    return [1000 + (salt * 7919 + i * 104729) % 40000 for i in range(count)]


def counters_and_bytes():
    with cluster("disagg", ["engine.chunk_tokens=512"]) as c:
        prompts = [prompt_ids(n, n) for n in (5, 16, 17, 100, 333, 512)]
        for p in prompts:
            status, body = c.post("/v1/completions", {**LONG, "prompt": p})
            assert status == 200, body
            check(f"path of a {len(p)}-token prompt", body["timings"]["path"] == "disaggregated", body["timings"])
        status = c.settled_status(len(prompts))
        workers = {w["id"]: w for w in status["workers"]}
        check("two processes", len({w["pid"] for w in status["workers"]}) == 2, [(w["id"], w["pid"], w["role"]) for w in status["workers"]])
        decode = workers["decode-0"]
        check("prompt tokens on decode-0", decode["prompt_tokens_computed"] == 0, decode["prompt_tokens_computed"])
        check("prompt tokens on prefill-0", workers["prefill-0"]["prompt_tokens_computed"] == sum(map(len, prompts)),
              workers["prefill-0"]["prompt_tokens_computed"])
        blocks = sum((len(p) + 15) // 16 for p in prompts)
        expected = blocks * decode["kv"]["block_bytes"]
        check("handoff.bytes = blocks x block bytes", status["handoff"]["bytes"] == expected, (status["handoff"], expected))
        check("leaked", all(w["kv"]["leaked"] == 0 for w in status["workers"]), [w["kv"] for w in status["workers"]])


def pushed_before_first_token():
    log = pathlib.Path(tempfile.mkdtemp()) / "steps"
    with cluster("pushed", ["engine.chunk_tokens=512", "engine.step_target_ms=100000", f"engine.step_log={log}"]) as c:
        c.post("/v1/completions", {**LONG, "prompt": prompt_ids(512, 3)})
        block_bytes = c.status()["workers"][0]["kv"]["block_bytes"]
    shares = []
    for path in log.parent.glob("steps*"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record.get("event") == "first_token" and record.get("handoff"):
                shares.append(record["pushed_bytes"] / (32 * block_bytes))
    check("share of KV bytes in the ring before the first token", shares and min(shares) >= 0.75, shares)


def flipped_bit():
    body = {**LONG, "prompt": prompt_ids(96, 5), "max_tokens": 12}

    def logprobs(settings):
        with cluster("flip", settings) as c:
            status, answer = c.post("/v1/completions", body)
            assert status == 200, answer
            return answer["choices"][0]["logprobs"]["token_logprobs"], c.settled_status(1)["handoff"]

    clean, _ = logprobs([])
    unchecked, _ = logprobs(["kv_transfer.checksum=false", "kv_transfer.test_flip_bits=1"])
    checked, handoff = logprobs(["kv_transfer.test_flip_bits=1"])
    check("flipped bit without checksums changes logprobs", clean[0] == unchecked[0] and clean != unchecked, (clean[:4], unchecked[:4]))
    check("flipped bit with checksums is repaired", clean == checked and handoff.get("bytes_resent", 0) > 0, handoff)
    recomputed, handoff = logprobs(["kv_transfer.test_flip_bits=2"])
    check("damaged twice: recomputed, same logprobs", clean == recomputed and handoff["recomputed"] == 1 and handoff["failed"] == 0, handoff)
    with cluster("flip", ["kv_transfer.test_flip_bits=4"]) as c:
        status, answer = c.post("/v1/completions", body)
        check("damaged for good: one clear error", status == 500 and "damaged" in answer["error"]["message"], (status, answer))
        c.settled_status(1)
        kv = [w["kv"] for w in c.quiet_status()["workers"]]
        check("… and no block is kept", all(k["leaked"] == k["reserved"] == k["sending"] == k["active"] == 0 for k in kv), kv)


if __name__ == "__main__":
    counters_and_bytes()
    pushed_before_first_token()
    flipped_bit()
    print(f"disaggregated: {sum(CHECKS)} passed, {len(CHECKS) - sum(CHECKS)} failed")
    sys.exit(0 if all(CHECKS) else 1)
