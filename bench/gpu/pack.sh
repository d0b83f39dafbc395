#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the GPU bench and the server here (no GPU needed) and makes one folder, build/gpu_pack, that runs on a GPU host as it is.
set -eu
cd "$(dirname "$0")/../.."
jobs=${JOBS:-2}
cmake --preset cuda -DTOKENWORKS_TESTS=ON >/dev/null
cmake --build build/cuda -j "$jobs" --target gpu_bench gpu_bench_host executor_bench executor_bench_host tokenworks_cuda
cmake --preset cpu-release -DTOKENWORKS_TESTS=ON >/dev/null
cmake --build build/cpu-release -j "$jobs" --target tokenworks tokenworks_cuda_on_host
binary=build/cpu-release/bin/tokenworks
pack=build/gpu_pack
rm -rf "$pack" && mkdir -p "$pack/server"
cp build/cuda/bench/gpu/{gpu_bench,host/gpu_bench_host,executor_bench,executor_bench_host} bench/gpu/run.sh bench/gpu/model/*.py "$pack"/
cp "$binary" build/cpu-release/bin/libtokenworks_cuda_on_host.so build/cuda/bin/libtokenworks_cuda.so bench/gpu/server/*.py configs/clusters/local-gpu.yaml "$pack/server"/
strip "$pack"/gpu_bench* "$pack"/executor_bench* "$pack"/server/tokenworks "$pack"/server/*.so
python3 bench/gpu/model/make_model.py tokenizer "$pack/server/tokenizer.gguf" --tokenizer "$("$binary" pull default)"
git rev-parse HEAD >"$pack/commit"
# take_libraries FOLDER FILE…: everything but the C and C++ runtime (the GPU host's are newer) that they are linked with. What the server
# alone needs (its OpenSSL) lies apart, where Python does not find it.
take_libraries() {
  into=$1; shift
  for lib in $(ldd "$@" | awk '/=> \//{print $3}' | sort -u); do
    case $(basename "$lib") in libc.so*|libm.so*|libdl.so*|libpthread.so*|librt.so*|ld-linux*|libstdc++.so*|libgcc_s.so*) ;; *) [ -e "$pack/lib/$(basename "$lib")" ] || { mkdir -p "$into" && cp -L "$lib" "$into/"; } ;; esac
  done
}
take_libraries "$pack/lib" "$pack/gpu_bench" "$pack/executor_bench"
take_libraries "$pack/server/lib" "$pack/server/tokenworks" "$pack"/server/*.so
strip --strip-unneeded "$pack"/lib/* "$pack"/server/lib/* 2>/dev/null || true  # most are already
kib=$(du -sk "$pack" | cut -f1)
[ "$kib" -le 46080 ] || { echo "the pack is $kib KiB, more than 45 MiB" >&2; exit 1; }
echo "$pack: $kib KiB"
