# SPDX-License-Identifier: Apache-2.0
"""Reads what ptxas said while the GPU library was built: registers and spills of every kernel, for both architectures.

  python3 tests/cuda/spills.py BUILD_LOG
Fails when a kernel spills more than its allowance, or when an architecture or a kernel is missing.
"""
import re
import subprocess
import sys

# Bytes of spill stores and loads together.
ALLOWANCE = {}
ARCHITECTURES = {"sm_80", "sm_90a"}
KERNELS = {"AddRmsNormKernel", "CombineKernel", "DecodeAttentionKernel", "GatherKernel", "GemvKernel", "KvBlockCopyKernel", "PrefillAttentionKernel",
           "RopeKvWriteKernel", "SampleReadKernel", "SampleListKernel", "SampleHistogramKernel", "SampleCollectKernel", "SampleDrawKernel", "SwiGluKernel"}


def main():
    text = open(sys.argv[1]).read()
    names = subprocess.run(["c++filt"], input="\n".join(re.findall(r"entry function '(\w+)'", text)), capture_output=True, text=True).stdout.split("\n")
    blocks = re.split(r"ptxas info\s+: Compiling entry function", text)[1:]
    worst, seen, failed = {}, set(), []
    for name, block in zip(names, blocks):
        short = re.search(r"(\w+)(?:<[^()]*>)?\(", name.replace("(anonymous namespace)::", "")).group(1)
        architecture = re.search(r"for '(\w+)'", block).group(1)
        stores, loads = map(int, re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", block).groups())
        registers = int(re.search(r"Used (\d+) registers", block).group(1))
        seen.add((short, architecture))
        old = worst.get(short, (0, 0, 0))
        worst[short] = (old[0] + 1, max(old[1], registers), max(old[2], stores + loads))
    for short, (count, registers, spilled) in sorted(worst.items()):
        allowed = ALLOWANCE.get(short, 0)
        ok = spilled <= allowed
        print(f"{'ok    ' if ok else 'FAILED'} {short}: {count} bodies, at most {registers} registers, {spilled} bytes spilled (allowed {allowed})")
        if not ok:
            failed.append(short)
    for architecture in sorted(ARCHITECTURES):
        missing = sorted(k for k in KERNELS | set(worst) if (k, architecture) not in seen)
        if missing:
            failed.append(architecture)
            print(f"FAILED {architecture}: not compiled: {', '.join(missing)}")
    print(f"spills: {len(worst)} kernels, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
