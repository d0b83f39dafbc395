#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds gpu_bench here (no GPU needed) and makes one folder, build/gpu_pack, that runs on a GPU host as it is.
set -eu
cd "$(dirname "$0")/../.."
jobs=${JOBS:-2}
cmake --preset cuda >/dev/null
cmake --build build/cuda -j "$jobs" --target gpu_bench gpu_bench_host executor_bench executor_bench_host
pack=build/gpu_pack
rm -rf "$pack" && mkdir -p "$pack"
cp build/cuda/bench/gpu/{gpu_bench,host/gpu_bench_host,executor_bench,executor_bench_host} bench/gpu/run.sh bench/gpu/model/*.py "$pack"/
strip "$pack"/gpu_bench* "$pack"/executor_bench*
git rev-parse HEAD >"$pack/commit"
# Everything but the C and C++ runtime (the GPU host's are newer) that the GPU binary is linked with.
for lib in $(ldd "$pack/gpu_bench" "$pack/executor_bench" | awk '/=> \//{print $3}'); do
  case $(basename "$lib") in libc.so*|libm.so*|libdl.so*|libpthread.so*|librt.so*|ld-linux*|libstdc++.so*|libgcc_s.so*) ;; *) mkdir -p "$pack/lib" && cp -L "$lib" "$pack/lib/" ;; esac
done
kib=$(du -sk "$pack" | cut -f1)
[ "$kib" -le 46080 ] || { echo "the pack is $kib KiB, more than 45 MiB" >&2; exit 1; }
echo "$pack: $kib KiB"
