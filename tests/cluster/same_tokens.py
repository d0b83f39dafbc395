# SPDX-License-Identifier: Apache-2.0
"""Same tokens, whatever the way: identical ids and logprobs when one factor at a time changes.

  python3 tests/cluster/same_tokens.py [--count 40] [--kernels scalar,avx2,avx512vnni]
"""
import argparse
import sys
import threading

import varied_requests
from cluster import cluster

AGGREGATED = ["pools.prefill.replicas=0", "pools.decode.replicas=0", "pools.mixed.replicas=1", "router.disaggregate=never"]


def run(name, bodies, settings=(), parallel=1, rounds=1, under_load=None):
    with cluster("same-" + name, settings) as c:
        for _ in range(rounds):
            if under_load:
                stop = threading.Event()
                worker = threading.Thread(target=under_load, args=(c, stop))
                worker.start()
            answers = c.post_all("/v1/completions", bodies, parallel, timeout=900)  # the scalar body is slow
            if under_load:
                stop.set()
                worker.join()
        status = c.status()
    for w in status["workers"]:
        assert w["kv"]["leaked"] == 0, (name, w)
    return [varied_requests.essence(a) for a in answers]


def change_roles(c, stop):
    """The decode worker becomes mixed and comes back, again and again, while requests run."""
    while not stop.is_set():
        for role in ("mixed", "decode"):
            c.command("role", "decode-0", role)
            stop.wait(0.3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--kernels", default="")
    options = parser.parse_args()
    bodies = varied_requests.make(options.count)
    base = run("base", bodies)
    ways = {
        "aggregated": dict(settings=AGGREGATED),
        "among16": dict(parallel=16),
        "chunk16": dict(settings=["engine.chunk_tokens=16"]),
        "chunk64": dict(settings=["engine.chunk_tokens=64"], parallel=4),
        "chunk512": dict(settings=["engine.chunk_tokens=512"]),
        "warm": dict(rounds=2),
        "no-cache": dict(settings=["engine.prefix_cache=false"]),
        "threads2": dict(settings=["pools.prefill.threads=2", "pools.decode.threads=2"]),
        "aggregated-threads1": dict(settings=AGGREGATED + ["pools.mixed.threads=1"], parallel=16),
        "roles": dict(parallel=8, under_load=change_roles),
    }
    for body in filter(None, options.kernels.split(",")):
        ways["kernels-" + body] = dict(settings=["engine.kernels=" + body], parallel=16)
    passed = failed = 0
    for way, how in ways.items():
        answers = run(way, bodies, **how)
        different = [i for i, (a, b) in enumerate(zip(base, answers)) if a != b]
        if different:
            failed += 1
            i = different[0]
            print(f"FAILED {way}: {len(different)} of {len(bodies)} differ, first {i}: {bodies[i]}\n  {base[i]}\n  {answers[i]}")
        else:
            passed += 1
            print(f"ok     {way}: {len(bodies)} requests identical")
    print(f"same_tokens: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
