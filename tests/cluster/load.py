# SPDX-License-Identifier: Apache-2.0
"""Load: concurrent streams on one `up`, in rounds. All end, tokens as when alone, memory stays, nothing leaks.

  python3 tests/cluster/load.py [--streams 200] [--rounds 5] [--alone 12]
"""
import argparse
import concurrent.futures
import http.client
import json
import sys

from cluster import cluster


def stream(c, body):
    """Ids of one streamed completion."""
    connection = http.client.HTTPConnection("127.0.0.1", c.port, timeout=90)
    connection.request("POST", "/v1/completions", json.dumps({**body, "stream": True}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        return ("status", response.status, response.read())
    ids, finish, done = [], None, False
    for line in response:
        line = line.strip()
        if line == b"data: [DONE]":
            done = True
        elif line.startswith(b"data: "):
            for choice in json.loads(line[6:]).get("choices", []):
                ids += choice.get("token_ids") or []
                finish = choice["finish_reason"] or finish
    connection.close()
    return (tuple(ids), finish, done)


def resident_kib(pids):
    total = {}
    for name, pid in pids.items():
        for line in open(f"/proc/{pid}/status"):
            if line.startswith("VmRSS"):
                total[name] = int(line.split()[1])
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", type=int, default=12)
    options = parser.parse_args()
    bodies = [{"model": "default", "prompt": f"Story {i}: once upon a time" + " and then" * (i % 40), "max_tokens": 8 + i % 24,
               "temperature": 0.8 if i % 2 else 0, "seed": i, "return_token_ids": True} for i in range(options.streams)]
    failures = []
    with cluster("load") as c:
        alone = {i: stream(c, bodies[i]) for i in range(0, options.streams, max(1, options.streams // options.alone))}
        pids = {w["id"]: w["pid"] for w in c.status()["workers"]}
        memory = []
        for r in range(options.rounds):
            with concurrent.futures.ThreadPoolExecutor(options.streams) as pool:
                answers = list(pool.map(lambda b: stream(c, b), bodies))
            failures += [f"round {r}: stream {i}: {a}" for i, a in enumerate(answers) if len(a) != 3 or not a[2] or not a[1]]
            failures += [f"round {r}: stream {i} differs from alone" for i, a in alone.items() if answers[i] != a]
            memory.append(resident_kib(pids))
            print(f"round {r + 1}: resident KiB {memory[-1]}")
        status = c.status()
    for name in pids:
        if options.rounds >= 5 and memory[4][name] > 1.05 * memory[1][name]:
            failures.append(f"{name} grew from {memory[1][name]} to {memory[4][name]} KiB")
    failures += [f"leaked on {w['id']}: {w['kv']}" for w in status["workers"] if w["kv"]["leaked"]]
    books = status["requests"]
    if books["received"] != sum(books[k] for k in ("completed", "failed", "cancelled", "rejected", "active")) or books["active"]:
        failures.append(f"books: {books}")
    print("\n".join(failures[:20]))
    print(json.dumps({"streams": options.streams, "rounds": options.rounds, "requests": books, "failures": len(failures)}))
    print(f"load: {0 if failures else 1} passed, {1 if failures else 0} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
