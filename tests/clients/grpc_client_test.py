# SPDX-License-Identifier: Apache-2.0
"""A generated Python client of tokenworks.v1.Inference: streams, cancels, deadlines, errors, health, reflection.

  TOKENWORKS_URL=http://127.0.0.1:8000 python3 grpc_client_test.py   (packages: requirements.txt)
"""
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKS = []


def check(name, holds, seen=""):
    CHECKS.append(bool(holds))
    print(f"{'ok    ' if holds else 'FAILED'} {name}{'' if holds else f': {seen}'}")


def generated():
    out = tempfile.mkdtemp()
    code = protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--grpc_python_out={out}", str(ROOT / "proto/inference.proto")])
    assert code == 0
    sys.path.insert(0, out)
    import inference_pb2
    import inference_pb2_grpc
    return inference_pb2, inference_pb2_grpc


class Client:
    def __init__(self, http):
        self.pb, stubs = generated()
        self.channel = grpc.insecure_channel(json.load(urllib.request.urlopen(http + "/v1/cluster"))["grpc"])
        self.stub = stubs.InferenceStub(self.channel)
        self.http = http

    def request(self, text="The capital of France is", **fields):
        sampling = self.pb.Sampling(temperature=0, max_tokens=8, **fields.pop("sampling", {}))
        return self.pb.GenerateRequest(text=text, sampling=sampling, **fields)

    def collect(self, request, **options):
        texts, ids, finish, summary = {}, {}, {}, None
        for response in self.stub.Generate(request, **options):
            for d in response.deltas:
                texts[d.sequence] = texts.get(d.sequence, "") + d.text
                ids.setdefault(d.sequence, []).extend(d.tokens)
                if d.finish_reason:
                    finish[d.sequence] = d.finish_reason
            if response.HasField("summary"):
                summary = response.summary
        return texts, ids, finish, summary

    def error(self, request, **options):
        try:
            self.collect(request, **options)
        except grpc.RpcError as e:
            return e
        return None

    def books(self):
        return json.load(urllib.request.urlopen(self.http + "/v1/cluster"))["requests"]

    def until_idle(self):
        deadline = time.monotonic() + 10
        while self.books()["active"] and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.books()


def streams(c):
    texts, ids, finish, summary = c.collect(c.request(sampling={"logprobs": 3}))
    check("8 tokens, then length", len(ids[0]) == 8 and finish == {0: "length"}, (ids, finish))
    check("logprobs with 3 top ones", all(len(t.top) == 3 and t.logprob <= 0 for t in ids[0]), ids)
    check("summary counts", summary.completion_tokens == 8 and summary.prompt_tokens > 0 and summary.ttft_ms > 0, summary)
    body = {"model": "default", "prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}
    http = urllib.request.Request(c.http + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    check("same text as over HTTP", json.load(urllib.request.urlopen(http))["choices"][0]["text"] == texts[0], texts)
    again = c.collect(c.pb.GenerateRequest(tokens=c.pb.Tokens(ids=[1, 2, 3]), n=3, sampling=c.pb.Sampling(seed=7, max_tokens=5, ignore_eos=True)))
    check("n = 3 from token ids", sorted(again[1]) == [0, 1, 2] and all(len(v) == 5 for v in again[1].values()), again)
    same = c.collect(c.pb.GenerateRequest(tokens=c.pb.Tokens(ids=[1, 2, 3]), n=3, sampling=c.pb.Sampling(seed=7, max_tokens=5, ignore_eos=True)))
    check("a seed repeats", again[0] == same[0], (again[0], same[0]))
    stopped = c.collect(c.request(stop=[texts[0].split()[-1]], sampling={}))
    check("stop string", stopped[2] == {0: "stop"} and texts[0].startswith(stopped[0][0]), stopped)


def cancels(c):
    before = c.until_idle()
    call = c.stub.Generate(c.pb.GenerateRequest(text="Count:", sampling=c.pb.Sampling(temperature=0, max_tokens=4000, ignore_eos=True)))
    next(iter(call))
    call.cancel()
    after = c.until_idle()
    check("a cancelled call ends the request", after["cancelled"] == before["cancelled"] + 1 and after["active"] == 0, (before, after))
    error = c.error(c.pb.GenerateRequest(text="Count:", sampling=c.pb.Sampling(temperature=0, max_tokens=7000, ignore_eos=True)), timeout=0.3)
    check("a deadline ends the request", error is not None and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and c.until_idle()["active"] == 0, error)
    call = c.stub.Generate(c.pb.GenerateRequest(request_id="to-abort", text="Count:", sampling=c.pb.Sampling(temperature=0, max_tokens=4000, ignore_eos=True)))
    next(iter(call))
    double = c.error(c.request(request_id="to-abort"))
    check("an id in use is refused", double is not None and double.code() == grpc.StatusCode.ALREADY_EXISTS, double)
    found = c.stub.Abort(c.pb.AbortRequest(request_id="to-abort")).found
    code = None
    try:
        for _ in call:
            pass
    except grpc.RpcError as e:
        code = e.code()
    check("abort ends the stream as cancelled", found and code == grpc.StatusCode.CANCELLED, (found, code))
    check("abort of an unknown id", not c.stub.Abort(c.pb.AbortRequest(request_id="nobody")).found)
    books = c.until_idle()
    check("the books balance", books["received"] == books["completed"] + books["failed"] + books["cancelled"] + books["rejected"], books)


def refuses(c):
    pb = c.pb
    bad = {"no input": pb.GenerateRequest(), "empty tokens": pb.GenerateRequest(tokens=pb.Tokens()), "token beyond the vocabulary": pb.GenerateRequest(tokens=pb.Tokens(ids=[10**7])),
           "temperature NaN": c.request(sampling={}), "n": c.request(n=65), "negative max_tokens": pb.GenerateRequest(text="a", sampling=pb.Sampling(max_tokens=-1)),
           "stop": c.request(stop=[""]), "logprobs": c.request(sampling={"logprobs": 21}), "id": c.request(request_id="a b"),
           "too long": pb.GenerateRequest(tokens=pb.Tokens(ids=[5] * 9000))}
    bad["temperature NaN"].sampling.temperature = float("nan")
    for name, request in bad.items():
        error = c.error(request)
        check(f"refused: {name}", error is not None and error.code() == grpc.StatusCode.INVALID_ARGUMENT and len(error.details()) > 10, error)
    error = c.error(c.request(model="nobody"))
    check("unknown model", error is not None and error.code() == grpc.StatusCode.NOT_FOUND, error)


def surfaces(c):
    health = health_pb2_grpc.HealthStub(c.channel)
    deadline = time.monotonic() + 5
    while True:
        serving = health.Check(health_pb2.HealthCheckRequest()).status
        if serving == health_pb2.HealthCheckResponse.SERVING or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    check("health", serving == health_pb2.HealthCheckResponse.SERVING, serving)
    services = ProtoReflectionDescriptorDatabase(c.channel).get_services()
    check("reflection", "tokenworks.v1.Inference" in services, services)


def in_parallel(c):
    results = [None] * 16
    alone = c.collect(c.request())[0]

    def run(i):
        results[i] = c.collect(c.request())[0]
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(results))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("16 at once, text as alone", all(r == alone for r in results), results)


if __name__ == "__main__":
    client = Client(os.environ["TOKENWORKS_URL"])
    for part in (streams, cancels, refuses, surfaces, in_parallel):
        part(client)
    print(f"grpc client: {sum(CHECKS)} passed, {len(CHECKS) - sum(CHECKS)} failed")
    sys.exit(0 if all(CHECKS) else 1)
