#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every stage of run.sh but PyTorch's, on the host device:   dry_run.sh GPU_BENCH_HOST EXECUTOR_BENCH_HOST
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
here=$(cd "$(dirname "$0")" && pwd)
cp "$here/run.sh" "$here/model/make_model.py" "$@" "$folder"
"$folder/run.sh" --host-device --out "$folder/results"
