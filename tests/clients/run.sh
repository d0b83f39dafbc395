#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the client tests against a running server: TOKENWORKS_URL=http://127.0.0.1:PORT tests/clients/run.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${TOKENWORKS_HOME:-$HOME/.cache/tokenworks}/clients-venv
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed.txt"
fi
exec "$venv/bin/python" "$here/openai_client_test.py"
