# SPDX-License-Identifier: Apache-2.0
"""It batches continuously: with 8 streams resident, a new request's first rows are in the very next step, beside theirs.

  python3 tests/cluster/batches_continuously.py
"""
import concurrent.futures
import json
import pathlib
import sys
import tempfile
import time

from cluster import cluster

AGGREGATED = ["pools.prefill.replicas=0", "pools.decode.replicas=0", "pools.mixed.replicas=1", "router.disaggregate=never"]
RESIDENT, LATE = 8, 5
CHECKS = []


def check(name, holds, seen):
    CHECKS.append(bool(holds))
    print(f"{'ok    ' if holds else 'FAILED'} {name}: {seen}")


def body(salt, prompt_tokens, max_tokens):
    prompt = [1000 + (salt * 7919 + i * 104729) % 40000 for i in range(prompt_tokens)]
    return {"model": "default", "prompt": prompt, "max_tokens": max_tokens, "ignore_eos": True, "temperature": 0, "return_token_ids": True}


def records(folder):
    return [json.loads(line) for path in folder.glob("steps*") for line in path.read_text().splitlines()]


def all_resident(folder):
    plans = [r for r in records(folder) if "plan" in r]
    return bool(plans) and sum(not item["prefill"] for item in plans[-1]["items"]) >= RESIDENT


def run(folder):
    with cluster("batches", AGGREGATED + [f"engine.step_log={folder / 'steps'}"]) as c, concurrent.futures.ThreadPoolExecutor(RESIDENT) as pool:
        streams = [pool.submit(c.post, "/v1/completions", body(i, 20 + i, 600)) for i in range(RESIDENT)]
        give_up = time.monotonic() + 60
        while not all_resident(folder) and time.monotonic() < give_up:
            time.sleep(0.05)
        late = [c.post("/v1/completions", body(100 + i, 37, 4)) for i in range(LATE)]
        streams = [s.result() for s in streams]
        step = c.quiet_status()["workers"][0].get("step")
        return late, streams, step, c.request("GET", "/metrics")[2].decode()


def main():
    folder = pathlib.Path(tempfile.mkdtemp())
    late, streams, step, metrics = run(folder)
    check("all answered in full", all(s == 200 for s, _ in late + streams) and all(b["usage"]["completion_tokens"] == 600 for _, b in streams),
          [(s, b["usage"]["completion_tokens"]) for s, b in late + streams])
    log = records(folder)
    admitted = [i for i, r in enumerate(log) if r.get("event") == "admitted"][RESIDENT:]
    steps_between, beside, choices = [], [], set()
    for at in admitted:
        plans = [r for r in log[at + 1:] if "plan" in r]
        first = next(i for i, p in enumerate(plans) if any(item["prefill"] for item in p["items"]))
        steps_between.append(first)
        choices.add(plans[first]["choice"])
        beside.append(sum(not item["prefill"] for item in plans[first]["items"]))
    check("late requests admitted", len(admitted) == LATE, len(admitted))
    check("steps between admission and the first rows", set(steps_between) == {0}, steps_between)
    check("decode rows in the same step", beside and min(beside) >= RESIDENT, beside)
    check("each says why it is as large as it is", choices and choices <= {"default", "latency", "tight"}, choices)
    check("so does the status", step and step["choice"] in {"default", "latency", "tight"} and step["rows"] > RESIDENT and
          0 < step["decode_ms"] < step["predicted_ms"], step)
    seen = [line for line in metrics.splitlines() if line.startswith("tokenworks_step_")]
    check("and the metrics", step and f'tokenworks_step_rows{{worker="mixed-0"}} {step["rows"]}' in seen and len(seen) == 3, seen)
    print(f"batches_continuously: {sum(CHECKS)} passed, {len(CHECKS) - sum(CHECKS)} failed")
    return 0 if all(CHECKS) else 1


if __name__ == "__main__":
    sys.exit(main())
