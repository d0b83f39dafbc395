# SPDX-License-Identifier: Apache-2.0
"""A cluster whose worker has `device: cuda`, with the GPU library built over the device that is the host.

  python3 tests/cluster/cuda_on_host.py
Proves the way from HTTP through the C interface to the executor and back without a GPU: the default model, few tokens.
"""
import pathlib
import subprocess
import sys

import cluster

LIBRARY = pathlib.Path(cluster.BINARY).parent / "libtokenworks_cuda_on_host.so"
PROMPT = {"model": "default", "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}
checks = []


def check(name, ok, seen=""):
    checks.append(bool(ok))
    print(f"{'ok    ' if ok else 'FAILED'} {name}{f': {seen}' if seen != '' else ''}", flush=True)


def main():
    with cluster.cluster("cuda-host", settings=["model.context_length=512", "engine.chunk_tokens=64"],
                         env={"TOKENWORKS_CUDA_LIBRARY": str(LIBRARY)}) as c:
        workers = c.status()["workers"]
        check("without a file the worker is on the GPU", [(w["role"], w["device"]) for w in workers] == [("mixed", "cuda")], workers)
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
    asked = [cluster.BINARY, "check", "--set", "pools.mixed.replicas=1", "--set", "pools.mixed.device=cuda", "--set", "http.port=0"]
    for name, library, words in [("no library", "/nowhere/lib.so", ["/nowhere/lib.so is not there", "device: cpu"]),
                                 ("no library at all", __file__, ["opening the GPU library", "device: cpu"])]:
        done = subprocess.run(asked, env={**cluster.os.environ, "TOKENWORKS_CUDA_LIBRARY": library}, capture_output=True, text=True)
        said = done.stdout + done.stderr
        check(f"check: {name}", done.returncode == 2 and all(w in said for w in words), (done.returncode, said.splitlines()[-3:]))
    lacking = {**cluster.os.environ, "TOKENWORKS_CUDA_LIBRARY": str(LIBRARY), "TOKENWORKS_HOST_LACKS": "no libcublasLt"}
    for file, code, words in [(["configs/clusters/local-gpu.yaml"], 2, ["error    matrix library no libcublasLt"]),
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
