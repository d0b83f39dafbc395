#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# libFuzzer with ASan and UBSan over every parser; what it finds lands in build/fuzz/found. Needs clang and libclang-rt-14-dev.
#   tests/fuzz/run.sh SECONDS_EACH [TARGET…]
# openai is left out: clang 14 cannot assemble the coroutines of the HTTP library that it links; it runs under GCC in CI.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}; [ $# -gt 0 ] && shift
targets=${*:-gguf text template config peer_codec algorithm_table}
cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Release -DTOKENWORKS_SANITIZE=address,undefined \
  -DTOKENWORKS_FUZZER=ON -DTOKENWORKS_GRPC=OFF -DTOKENWORKS_TESTS=ON >build/fuzz.log
for t in $targets; do
  cmake --build build/fuzz --target "fuzz_$t" "fuzz_${t}_corpus"
  mkdir -p "build/fuzz/corpus/$t" build/fuzz/found
  "build/fuzz/tests/fuzz/fuzz_${t}_corpus" tests/fuzz/corpus 0 --write-seeds "build/fuzz/corpus/$t"
  "build/fuzz/tests/fuzz/fuzz_$t" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build/fuzz/found/$t-" -print_final_stats=1 "build/fuzz/corpus/$t" $([ ! -d "tests/fuzz/corpus/$t" ] || echo "tests/fuzz/corpus/$t") 2>&1 | tail -n 12
done
