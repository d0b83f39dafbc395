#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every stage of run.sh but PyTorch's, on the host device:   dry_run.sh GPU_BENCH_HOST EXECUTOR_BENCH_HOST TOKENWORKS
# Beside the binary lies the GPU library over the host; the tokenizer is the default model's.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
here=$(cd "$(dirname "$0")" && pwd)
binary=$(readlink -f "$3")
cp "$here/run.sh" "$here/model/make_model.py" "$1" "$2" "$folder"
mkdir "$folder/server"
cp "$here"/server/*.py "$here/../../configs/clusters/local-gpu.yaml" "$folder/server"
ln -s "$binary" "$(dirname "$binary")/libtokenworks_cuda_on_host.so" "$folder/server"
python3 "$here/model/make_model.py" tokenizer "$folder/server/tokenizer.gguf" --tokenizer "$("$binary" pull default)"
"$folder/run.sh" --host-device --out "$folder/results" --seconds 900
if grep SKIPPED "$folder/results/log.txt"; then exit 1; fi
