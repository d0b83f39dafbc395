# SPDX-License-Identifier: Apache-2.0
"""Real clients, unchanged, against `serve` (aggregated) and `up` (disaggregated); what CI runs as the stage `clients`.

  python3 tests/clients/run.py [--venv FOLDER]

The packages of requirements.txt go into a virtual environment under build/, made once per content of that file.
"""
import argparse
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cluster"))
from cluster import BINARY, ROOT, cluster  # noqa: E402

TESTS = ["openai_client_test.py", "grpc_client_test.py"]  # each reads TOKENWORKS_URL, prints one summary line last and exits non-zero on a failure
TEST_SECONDS_MAX = 300


def client_python(folder):
    """The interpreter of a virtual environment that holds exactly the pinned packages."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp, python = folder / "installed.txt", folder / "bin/python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {', '.join(wanted.split())} into {folder}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True, timeout=300)
        stamp.write_text(wanted)
    return python


@contextlib.contextmanager
def aggregated():
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen([BINARY, "serve", "default", "--port", "0"], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            ready = re.search(r"http://\S+:\d+", server.stdout.readline())
            if ready is None:
                log.seek(0)
                raise RuntimeError(f"serve did not start: {log.read()}")
            yield ready.group()
        finally:
            server.terminate()
            server.wait(timeout=20)


@contextlib.contextmanager
def disaggregated():
    with cluster("clients") as c:
        yield f"http://127.0.0.1:{c.port}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/clients-venv")
    python = client_python(parser.parse_args().venv)
    failed = []
    for start in (aggregated, disaggregated):
        with start() as url:
            for test in TESTS:
                began = time.monotonic()
                print(f"== {test} against {start.__name__}", flush=True)
                code = subprocess.run([python, HERE / test], env=dict(os.environ, TOKENWORKS_URL=url), timeout=TEST_SECONDS_MAX).returncode
                print(f"   {'ok' if code == 0 else 'FAILED'} in {time.monotonic() - began:.1f} s", flush=True)
                if code != 0:
                    failed.append(f"{test} against {start.__name__}")
    print(f"clients: {2 * len(TESTS) - len(failed)} passed, {len(failed)} failed {', '.join(failed)}".rstrip())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
