# SPDX-License-Identifier: Apache-2.0
"""A worker is killed in mid-stream: its requests end with an error that names it, it comes back under a new incarnation,
the next request is answered, and the books balance.

  python3 tests/cluster/killed_worker.py
"""
import http.client
import json
import os
import pathlib
import re
import signal
import sys
import time

from cluster import cluster

CHECKS = []
BODY = {"model": "default", "prompt": "Once upon a time", "max_tokens": 2000, "ignore_eos": True, "stream": True, "temperature": 0}


def check(name, holds, seen):
    CHECKS.append(bool(holds))
    print(f"{'ok    ' if holds else 'FAILED'} {name}: {seen}")


def worker(c, name):
    return next((w for w in c.status()["workers"] if w["id"] == name), None)


def killed_in_mid_stream(c, name):
    """Events of a stream whose worker was killed after the first five."""
    before = worker(c, name)
    connection = http.client.HTTPConnection("127.0.0.1", c.port, timeout=60)
    connection.request("POST", "/v1/completions", json.dumps(BODY), {"Content-Type": "application/json"})
    response = connection.getresponse()
    events = []
    for line in response:
        if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
            events.append(json.loads(line[6:]))
            if len(events) == 5:
                os.kill(before["pid"], signal.SIGKILL)
    connection.close()
    return before, events


def back(c, name, before):
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        now = worker(c, name)
        if now and now["state"] == "ready" and now["incarnation"] != before["incarnation"]:
            return now
        time.sleep(0.1)
    return None


def killed_router(c):
    """It comes back on its port, though any free one was asked for, and finds its workers."""
    words = [b"tokenworks", b"router", b"--run", str(c.folder()).encode(), b""]
    pids = [int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*") if cmdline(p) == words]
    check("there is one router", len(pids) == 1, pids)
    os.kill(pids[0], signal.SIGKILL)
    give_up, status = time.monotonic() + 30, 0
    while status != 200 and time.monotonic() < give_up:
        time.sleep(0.1)
        try:
            status = c.request("GET", "/ready")[0]
        except OSError:
            continue
    check("a killed router is back on its port", status == 200, status)
    if status != 200:
        return
    check("and answers", c.post("/v1/completions", {**BODY, "stream": False, "max_tokens": 4})[0] == 200, c.port)


def cmdline(process):
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None


def main():
    with cluster("killed") as c:
        alone = c.post("/v1/completions", {**BODY, "stream": False, "max_tokens": 12})[1]["choices"][0]["text"]
        for name in ("decode-0", "prefill-0"):
            if name == "decode-0":
                before, events = killed_in_mid_stream(c, name)
                last = events[-1]
                check(f"{name}: the stream ends with an error that names it", "error" in last and name in last["error"]["message"], last)
                check(f"{name}: tokens came before it", len(events) > 5 or "choices" in events[0], len(events))
            else:
                before = worker(c, name)
                os.kill(before["pid"], signal.SIGKILL)
            now = back(c, name, before)
            check(f"{name}: back under a new incarnation", now and now["pid"] != before["pid"], now and (now["pid"], now["incarnation"]))
            status, answer = c.post("/v1/completions", {**BODY, "stream": False, "max_tokens": 12})
            check(f"{name}: the next request is answered, same text", status == 200 and answer["choices"][0]["text"] == alone, answer)
            check(f"{name}: on the disaggregated path", answer.get("timings", {}).get("path") == "disaggregated", answer.get("timings"))
        status, _, metrics = c.request("GET", "/metrics")
        check("/metrics counts the restarts", all(f'tokenworks_worker_restarts_total{{worker="{w}"}} 1\n'.encode() in metrics for w in ("decode-0", "prefill-0")), status)
        check("/metrics counts the queue", b"tokenworks_request_queue_seconds_count 0\n" not in metrics, status)
        check("the status table shows them", "restarts" in c.command("status").stdout.splitlines()[2], c.command("status").stdout)
        log = c.command("logs", "up").stdout
        check("the log says how and when", re.search(r"\d\d:\d\d:\d\d decode-0 died \(signal 9, Killed\) and is started again", log), log)
        status = c.quiet_status()
        kv = [(w["id"], w["kv"]["leaked"], w["kv"]["active"], w["kv"]["reserved"], w["kv"]["sending"]) for w in status["workers"]]
        check("no block is kept", all(k[1:] == (0, 0, 0, 0) for k in kv), kv)
        books = status["requests"]
        check("books balance, one failed", books["failed"] == 1 and books["active"] == 0
              and books["received"] == sum(books[k] for k in ("completed", "failed", "cancelled", "rejected")), books)
        killed_router(c)
    print(f"killed_worker: {sum(CHECKS)} passed, {len(CHECKS) - sum(CHECKS)} failed")
    return 0 if all(CHECKS) else 1


if __name__ == "__main__":
    sys.exit(main())
