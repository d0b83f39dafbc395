#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the packed GPU bench: at most five minutes in all (--seconds), every stage under its own time limit, a line a measurement as it
# is made, one JSON and one table at the end. What no longer fits is skipped, and said.   run.sh [--host-device] [--out DIR] [--seconds N]
set -u
here=$(cd "$(dirname "$0")" && pwd)
bench=$here/gpu_bench; out=$here/results; host=0; seconds=300
while [ $# -gt 0 ]; do
  case $1 in
    --host-device) host=1; bench=$here/gpu_bench_host ;;
    --out) out=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    *) echo "usage: run.sh [--host-device] [--out DIR] [--seconds N]" >&2; exit 2 ;;
  esac
  shift
done
mkdir -p "$out"
log=$out/log.txt; : >"$log"
commit=$(cat "$here/commit" 2>/dev/null || echo unknown)
if [ "$host" = 0 ]; then
  # cuBLASLt from the Python packages of the host.
  for d in "$here/lib" $(python3 -c 'import glob, site, sys
for s in site.getsitepackages() + [site.getusersitepackages()]: print(*glob.glob(s + "/nvidia/*/lib"))' 2>/dev/null) /usr/local/cuda/lib64; do
    [ -d "$d" ] && LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$d
  done
  export LD_LIBRARY_PATH
  if ! "$bench" info; then echo "no GPU to measure: nothing was run" >&2; exit 3; fi
fi
failed=0; skipped=""
# skip NAME WHY
skip() { echo "== $1: SKIPPED: $2" | tee -a "$log"; skipped="$skipped${skipped:+, }$1"; }
# stage NAME NEEDED LIMIT command…   seconds: with fewer than NEEDED left the stage is skipped; it gets LIMIT at most, and what is left.
stage() {
  name=$1; needed=$2; limit=$3; shift 3
  left=$((seconds - 5 - SECONDS))  # the table is made in the rest
  if [ "$left" -lt "$needed" ]; then
    skip "$name" "it needs $needed s, $left of $seconds s are left"
    return 1
  fi
  [ "$limit" -le "$left" ] || limit=$left
  echo "== $name (at most $limit s)" | tee -a "$log"
  begin=$SECONDS
  timeout -k 2 "$limit" "$@" 2>&1 | tee -a "$log"
  rc=${PIPESTATUS[0]}
  [ "$rc" = 0 ] || { failed=$((failed + 1)); [ "$rc" != 124 ] || echo "$name: out of time" | tee -a "$log"; }
  echo "== $name: exit $rc after $((SECONDS - begin)) s" | tee -a "$log"
  return "$rc"
}
stage correctness 10 60 "$bench" correctness
if [ "$host" = 0 ]; then
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -n 1)
  [ -z "$sanitizer" ] || stage sanitizer 20 45 "$sanitizer" --tool memcheck --error-exitcode 9 "$bench" correctness \
    --gtest_filter='EmbeddingTest*:SwiGlu*:*GemvCases*/0:*GemvCases*/3:*DecodeAttentionTest*/1:*DecodeAttentionTest*/5:PrefillAttention*:SampleTest.Ties*:SampleTest.Pen*:SampleWide*:Rope*:Kv*'
fi
# The executor: logits against PyTorch's on files made from a seed, then its speed.
executor=$here/executor_bench; [ "$host" = 0 ] || executor=$here/executor_bench_host
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT
if [ "$host" = 1 ]; then shapes=tiny; speed=tiny; pair=tiny; else shapes="smollm2 llama8b-2"; speed=llama8b; pair=smollm2; fi
for shape in $shapes; do
  if stage "make $shape" 10 40 python3 "$here/make_model.py" "$shape" "$models/$shape.gguf" &&
     stage "logits $shape" 10 40 "$executor" "$models/$shape.gguf" logits "$models/$shape.bin"; then
    [ "$shape" = llama8b-2 ] || stage "hand-off $shape" 5 30 "$executor" "$models/$shape.gguf" handoff
    [ "$host" = 1 ] || stage "PyTorch $shape" 10 40 python3 "$here/torch_reference.py" "$models/$shape.gguf" "$models/$shape.bin" --json "$out/logits-$shape.json"
  else skip "what follows for $shape" "there is nothing to compare"; fi
  rm -f "$models/$shape.bin" "$models/$shape.gguf"
done
# One file for the executor's speed and for the server, which takes only models with a tokenizer.
make_served() { stage "make $1 with a tokenizer" 10 60 python3 "$here/make_model.py" "$1" "$models/$1.gguf" --tokenizer "$here/server/tokenizer.gguf"; }
if make_served "$speed"; then
  stage "executor $speed" 15 60 "$executor" "$models/$speed.gguf" speed --json "$out/executor.json"
  # The whole server: what clients see of streams beside long prompts, books, hand-off between GPU and CPU.
  if [ "$pair" = "$speed" ] || make_served "$pair"; then
    stage server 40 110 python3 "$here/server/server_check.py" "$models/$speed.gguf" "$models/$pair.gguf" --json "$out/server.json" \
      $([ "$host" = 0 ] || echo --host-device)
  else skip server "there is no $pair model"; fi
else skip "executor $speed, server" "there is no $speed model"; fi
rm -rf "$models"
stage steps 20 90 "$bench" steps --json "$out/steps.json"
stage sweep 20 90 "$bench" sweep --json "$out/sweep.json"
python3 - "$out" "$commit" "$(date -u +%F)" "$skipped" <<'P'
import json, os, sys
out, commit, date, skipped = sys.argv[1:]
whole = {"commit": commit, "date": date, "skipped": skipped}
for part in ("steps", "sweep", "executor", "server", "logits-smollm2", "logits-llama8b-2"):
    path = os.path.join(out, part + ".json")
    if os.path.exists(path): whole[part] = json.load(open(path))
json.dump(whole, open(os.path.join(out, "gpu_bench.json"), "w"), indent=1)
print("\n%-34s %-28s %10s %9s %8s %6s" % ("name", "size", "us", "GB/s", "TFLOP/s", "%"))
for part in ("steps", "sweep"):
    for r in whole.get(part, {}).get("results", []):
        us = r["us"] or 1e9
        print("%-34s %-28s %10.1f %9.1f %8.1f %6.1f%s" % (r["name"], r["size"], us, r["bytes"] / us / 1e3, r["flops"] / us / 1e6, r["percent"], "" if r["ok"] else "  WRONG"))
P
[ -z "$skipped" ] || echo "SKIPPED, not passed: $skipped"
[ "$failed" = 0 ] && echo "all stages that ran passed, in $SECONDS s" || { echo "$failed stages failed"; exit 1; }
