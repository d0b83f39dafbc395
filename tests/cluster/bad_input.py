# SPDX-License-Identifier: Apache-2.0
"""Bad input over HTTP: every refusal is one sentence in OpenAI's shape, before the stream opens, and nothing is left behind.

  python3 tests/cluster/bad_input.py
"""
import json
import socket
import sys
import time

from cluster import cluster

CHECKS = []
USER = [{"role": "user", "content": "Hi"}]


def check(name, holds, seen=""):
    CHECKS.append(bool(holds))
    if not holds:
        print(f"FAILED {name}: {seen}")


def refused(c, name, path, body, status, param=None, raw=False):
    if raw:
        code, data = raw_post(c, path, body)
    else:
        code, _, data = c.request("POST", path, body)
    try:
        error = json.loads(data)["error"]
    except Exception:
        return check(name, False, (code, data[:200]))
    check(name, code == status and set(error) >= {"message", "type", "param", "code"} and (param is None or error["param"] == param)
          and len(error["message"]) > 10, (code, error))


def raw_post(c, path, data):
    with socket.create_connection(("127.0.0.1", c.port), timeout=20) as s:
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
        answer = b""
        while part := s.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def parameters(c):
    chat = "/v1/chat/completions"
    for field, value in [("temperature", -1), ("temperature", "hot"), ("top_p", 0), ("top_p", 1.5), ("top_k", -5), ("min_p", 2), ("n", 0), ("n", 100000),
                         ("max_tokens", 0), ("max_tokens", -3), ("seed", 1.5), ("stop", 5), ("logit_bias", {"x": 1}), ("logit_bias", {"99999999": 1}),
                         ("top_logprobs", 21), ("presence_penalty", 9), ("repetition_penalty", 0), ("min_tokens", -1), ("stream", "yes"),
                         ("messages", []), ("messages", "hi"), ("messages", [{"role": "user"}]), ("messages", [{"content": "x"}]),
                         ("tools", [{"type": "function", "function": {"name": "f"}}]), ("response_format", {"type": "json_object"})]:
        refused(c, f"{field}={value!r}", chat, {"model": "default", "messages": USER, **{field: value}}, 400)
    refused(c, "echo", "/v1/completions", {"model": "default", "prompt": "x", "echo": True}, 400, "echo")
    refused(c, "unknown model", chat, {"model": "gpt-9", "messages": USER}, 404)
    refused(c, "no model", "/v1/completions", {"prompt": [49152 + 7]}, 400)
    refused(c, "long prompt", "/v1/completions", {"model": "default", "prompt": [5] * 9000}, 400)


def bytes_(c):
    chat = "/v1/chat/completions"
    nan = b'{"model":"default","messages":[{"role":"user","content":"x"}],"temperature":NaN}'
    for name, data in [("empty", b""), ("cut", b'{"model": "default", "messages": ['), ("nan", nan), ("not an object", b"[1,2]"),
                       ("not utf-8", b'{"model":"default","messages":[{"role":"user","content":"\xff\xfe"}]}'),
                       ("lone surrogate", b'{"model":"default","messages":[{"role":"user","content":"\\ud800"}]}'),
                       ("nested", b'{"model":"default","messages":' + b"[" * 100000 + b"]" * 100000 + b"}")]:
        refused(c, name, chat, data, 400, raw=True)
    code, _ = raw_post(c, chat, b'{"model":"default","messages":[{"role":"user","content":"' + b"a" * 20_000_000 + b'"}]}')
    check("body over the limit", code == 413, code)
    code, _, data = c.request("GET", "/v1/nothing")
    check("unknown path", code == 404 and "error" in json.loads(data), (code, data))
    code, _, data = c.request("GET", chat)
    check("wrong method", code == 405 and "error" in json.loads(data), (code, data))


def context_limit(c):
    limit = 8192
    for over in (-2, -1, 0, 1, 2):
        prompt = [300 + i % 1000 for i in range(limit - 8)]
        status, body = c.post("/v1/completions", {"model": "default", "prompt": prompt, "max_tokens": 8 + over, "ignore_eos": True, "return_token_ids": True}, timeout=300)
        if status == 200:
            choice = body["choices"][0]
            check(f"context {over:+d}", choice["finish_reason"] == "length" and len(choice["token_ids"]) == min(8 + over, 8) == body["usage"]["completion_tokens"],
                  (len(choice["token_ids"]), choice["finish_reason"]))
        else:
            check(f"context {over:+d}", status == 400 and over > 0, body)


def vanishing_clients(c):
    body = json.dumps({"model": "default", "prompt": [200 + i % 500 for i in range(3000)], "max_tokens": 500, "ignore_eos": True, "stream": True}).encode()
    for wait in (0.05, 0.4, 1.5):  # in prefill and in decode
        s = socket.create_connection(("127.0.0.1", c.port))
        s.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(wait)
        s.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = c.status()
        if status["requests"]["active"] == 0 and all(w["running"] == 0 and w["waiting"] == 0 for w in status["workers"]):
            break
        time.sleep(0.1)
    kv = [w["kv"] for w in status["workers"]]
    check("vanished clients leave nothing", status["requests"]["active"] == 0 and status["requests"]["cancelled"] == 3 and
          all(k["active"] == k["sending"] == k["receiving"] == k["reserved"] == k["leaked"] == 0 for k in kv), status)


if __name__ == "__main__":
    with cluster("bad") as c:
        parameters(c)
        bytes_(c)
        context_limit(c)
        vanishing_clients(c)
        code, _, data = c.request("POST", "/v1/chat/completions", {"model": "default", "messages": USER, "max_tokens": 4})
        check("still serves", code == 200, data)
    print(f"bad_input: {sum(CHECKS)} passed, {len(CHECKS) - sum(CHECKS)} failed")
    sys.exit(0 if all(CHECKS) else 1)
