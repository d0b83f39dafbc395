# SPDX-License-Identifier: Apache-2.0
"""A cluster whose worker has `device: cuda`, with the GPU library built over the device that is the host.

  python3 tests/cluster/cuda_on_host.py
Proves the way from HTTP through the C interface to the executor and back without a GPU: the default model, few tokens.
"""
import pathlib
import subprocess
import sys
import tempfile
import time

import cluster

LIBRARY = pathlib.Path(cluster.BINARY).parent / "libtokenworks_cuda_on_host.so"
PROMPT = {"model": "default", "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}
checks = []


def check(name, ok, seen=""):
    checks.append(bool(ok))
    print(f"{'ok    ' if ok else 'FAILED'} {name}{f': {seen}' if seen != '' else ''}", flush=True)


def on_gpus(count):
    return {"TOKENWORKS_CUDA_LIBRARY": str(LIBRARY), "TOKENWORKS_HOST_DEVICES": str(count)}


def check_command(count, *settings):
    """`check` on a host of so many GPUs: its exit code and what it says."""
    done = subprocess.run([cluster.BINARY, "check", "--port", "0", *(w for s in settings for w in ("--set", s))], env={**cluster.os.environ, **on_gpus(count)},
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def placed(c):
    """(worker, device, UUID that its process was given) of each worker."""
    workers = c.ready_status()["workers"]
    words = {w["id"]: pathlib.Path(f"/proc/{w['pid']}/cmdline").read_bytes().decode().split("\0") for w in workers}
    return sorted((w["id"], w["device"], words[w["id"]][words[w["id"]].index("--gpu") + 1]) for w in workers)


def several_gpus(model):
    """Two GPUs on one host, and two workers on one GPU."""
    small = [f"model.source={model}", "model.context_length=512", "engine.chunk_tokens=64"]
    prompt = dict(PROMPT, max_tokens=16, ignore_eos=True)
    kv = ["pools.prefill.kv_memory=64MiB", "pools.decode.kv_memory=64MiB"]
    with cluster.cluster("cuda-two", settings=small + ["pools.mixed.kv_memory=64MiB"], env=on_gpus(2)) as c:
        seen = placed(c)
        check("two GPUs, no file: a mixed worker on each, by UUID",
              seen == [("mixed-0", "cuda:0", "GPU-host-0"), ("mixed-1", "cuda:1", "GPU-host-1")], seen)
        answers = c.post_all("/v1/completions", [prompt] * 2, parallel=2)
        expected = answers[0][1]["choices"][0]["text"]
        check("both answer alike", [status for status, _ in answers] == [200, 200] and answers[1][1]["choices"][0]["text"] == expected, answers)
        seen = c.quiet_status()["workers"]
        check("each has had a request", [w["generation_tokens"] for w in seen] == [16, 16], [w["generation_tokens"] for w in seen])
        lone = subprocess.run([cluster.BINARY, "worker", "--run", str(c.folder()), "--id", "x", "--role", "mixed", "--gpu", "GPU-elsewhere"], env=c.env,
                              capture_output=True, text=True, timeout=30)
        check("a GPU that is not there is refused", lone.returncode == 2 and "no GPU of this host has the UUID GPU-elsewhere" in lone.stderr, lone.stderr)
    pair = small + ["pools.mixed.replicas=0", "pools.prefill.replicas=1", "pools.decode.replicas=1", "router.disaggregate=always",
                    "pools.prefill.device=cuda", "pools.decode.device=cuda"]
    for gpus, devices in ((2, ["cuda:1", "cuda:0"]), (1, ["cuda:0", "cuda:0"])):
        with cluster.cluster("cuda-pair", settings=pair + kv, env=on_gpus(gpus)) as c:
            seen = placed(c)
            check(f"decode and prefill over {gpus} GPUs", [device for _, device, _ in seen] == devices, seen)
            status, answer = c.post("/v1/completions", prompt)
            check("GPU to GPU: the greedy text is the same",
                  status == 200 and answer["choices"][0]["text"] == expected and answer["timings"]["path"] == "disaggregated", answer)
            check("GPU to GPU: one hand-off, nothing leaked", c.settled_status(1)["handoff"]["completed"] == 1
                  and all(w["kv"]["leaked"] == 0 for w in c.quiet_status()["workers"]))
    code, said = check_command(1, *pair)
    check("two workers on one GPU must say their KV memory", code == 2 and "set pools.prefill.kv_memory, pools.decode.kv_memory" in said, said)
    code, said = check_command(1, *pair, "pools.prefill.kv_memory=64MiB", "pools.decode.kv_memory=1000MiB")
    check("their memory is summed up", code == 2 and "gpu cuda:0" in said and "1024 MiB are free" in said, said)
    code, said = check_command(3)
    check("`check` without a file sees what `up` starts", code == 0 and "gpu cuda:2" in said, said)


def faulted_gpu(model):
    """A GPU that faults in the middle of a request: the request ends with an error, its worker ends and comes back."""
    settings = [f"model.source={model}", "model.context_length=512"]
    with cluster.cluster("cuda-fault", settings=settings, env={**on_gpus(1), "TOKENWORKS_HOST_FAULTS_AFTER": "60"}) as c:
        prompt = dict(PROMPT, ignore_eos=True)
        status, answer = c.post("/v1/completions", prompt)
        before = c.status()["workers"][0]
        check("a GPU that will fault answers before", status == 200, answer)
        status, answer = c.post("/v1/completions", dict(prompt, max_tokens=100))
        check("it faults in the middle: the request ends with an error that says so", status in (500, 503) and "message" in answer.get("error", {}), (status, answer))
        give_up = time.monotonic() + 30
        now = before
        while time.monotonic() < give_up and (now["state"] != "ready" or now["incarnation"] == before["incarnation"]):
            time.sleep(0.1)
            now = next(iter(c.status()["workers"]), before)
        check("its worker comes back as another process", now["incarnation"] != before["incarnation"] and now["pid"] != before["pid"], now)
        status, again = c.post("/v1/completions", prompt)
        check("and answers", status == 200, again)
        books = c.quiet_status()["requests"]
        check("the books balance", books["received"] == 3 and books["completed"] == 2 and books["failed"] == 1, books)


def main():
    with cluster.cluster("cuda-host", settings=["model.context_length=512", "engine.chunk_tokens=64"],
                         env={"TOKENWORKS_CUDA_LIBRARY": str(LIBRARY)}) as c:
        workers = c.status()["workers"]
        check("without a file the worker is on the GPU", [(w["role"], w["device"]) for w in workers] == [("mixed", "cuda:0")], workers)
        status, answer = c.post("/v1/completions", PROMPT, timeout=120)
        on_gpu = answer["choices"][0]["text"]
        check("it answers", status == 200 and answer["usage"]["completion_tokens"] == 4, answer)
        kv = c.quiet_status()["workers"][0]["kv"]
        check("no block is kept or leaked", kv["leaked"] == 0 and kv["active"] == 0, kv)
    with cluster.cluster("cuda-host-cpu", file=str(cluster.ROOT / "configs/clusters/local.yaml"),
                         env={"TOKENWORKS_CUDA_LIBRARY": str(LIBRARY)}) as c:
        workers = c.status()["workers"]
        check("a file says otherwise", {w["device"] for w in workers} == {"cpu"}, [w["device"] for w in workers])
        on_cpu = c.post("/v1/completions", PROMPT)[1]["choices"][0]["text"]
        check("greedy text as on the CPU", on_gpu == on_cpu, (on_gpu, on_cpu))
    settings = ["model.context_length=512", "engine.chunk_tokens=64", "pools.mixed.replicas=0", "pools.prefill.replicas=1",
                "pools.decode.replicas=1", "router.disaggregate=always"]
    for prefill, decode in (("cuda", "cpu"), ("cpu", "cuda")):
        pools = [f"pools.prefill.device={prefill}", f"pools.decode.device={decode}"]
        with cluster.cluster("cuda-host-pair", settings=settings + pools, env={"TOKENWORKS_CUDA_LIBRARY": str(LIBRARY)}) as c:
            status, answer = c.post("/v1/completions", PROMPT, timeout=120)
            seen = c.settled_status(1)
            check(f"{prefill} to {decode}: KV is converted, the greedy text is the same",
                  status == 200 and answer["choices"][0]["text"] == on_cpu and answer["timings"]["path"] == "disaggregated", answer)
            check(f"{prefill} to {decode}: the decode worker computed no prompt token",
                  [w["prompt_tokens_computed"] for w in seen["workers"] if w["role"] == "decode"] == [0] and seen["handoff"]["completed"] == 1,
                  seen["handoff"])
            check(f"{prefill} to {decode}: nothing leaked", all(w["kv"]["leaked"] == 0 for w in c.quiet_status()["workers"]))
    with tempfile.TemporaryDirectory() as folder:
        model, source = pathlib.Path(folder) / "tiny.gguf", cluster.default_model()
        subprocess.run([sys.executable, cluster.ROOT / "bench/gpu/model/make_model.py", "tiny", model, "--tokenizer", source], check=True, capture_output=True)
        several_gpus(model)
        faulted_gpu(model)
    asked = [cluster.BINARY, "check", "--set", "pools.mixed.replicas=1", "--set", "pools.mixed.device=cuda", "--set", "http.port=0"]
    for name, library, words in [("no library", "/nowhere/lib.so", ["/nowhere/lib.so is not there", "device: cpu"]),
                                 ("no library at all", __file__, ["opening the GPU library", "device: cpu"])]:
        done = subprocess.run(asked, env={**cluster.os.environ, "TOKENWORKS_CUDA_LIBRARY": library}, capture_output=True, text=True)
        said = done.stdout + done.stderr
        check(f"check: {name}", done.returncode == 2 and all(w in said for w in words), (done.returncode, said.splitlines()[-3:]))
    lacking = {**cluster.os.environ, "TOKENWORKS_CUDA_LIBRARY": str(LIBRARY), "TOKENWORKS_HOST_LACKS": "no libcublasLt"}
    for file, code, words in [(["configs/clusters/local-gpu.yaml"], 2, ["error    gpu", "no libcublasLt"]),
                              (["configs/clusters/local.yaml"], 0, []),
                              ([], 0, ["the GPU is not used, the workers run on the CPU: no libcublasLt"])]:
        done = subprocess.run([cluster.BINARY, "check", *file, "--port", "0"], cwd=cluster.ROOT, env=lacking, capture_output=True, text=True)
        said = done.stdout + done.stderr
        check(f"check {''.join(file) or 'without a file'}: no matrix library",
              done.returncode == code and all(w in said for w in words) and ("libcublasLt" in said) == bool(words), (done.returncode, said))
    print(f"cuda_on_host: {sum(checks)} passed, {len(checks) - sum(checks)} failed")
    return 0 if all(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
