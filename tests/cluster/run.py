# SPDX-License-Identifier: Apache-2.0
"""The cluster tests that CI runs, each against clusters that it starts and stops itself.

  python3 tests/cluster/run.py
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
TESTS = [["disaggregated.py"], ["batches_continuously.py"], ["killed_worker.py"], ["bad_input.py"], ["cli_errors.py"], ["cuda_on_host.py"], ["same_tokens.py", "--count", "16"],
         ["load.py", "--streams", "64", "--rounds", "2"]]

if __name__ == "__main__":
    failed = []
    for test in TESTS:
        print(f"== {' '.join(test)}", flush=True)
        if subprocess.run([sys.executable, str(HERE / test[0]), *test[1:]], stdin=subprocess.DEVNULL, timeout=600).returncode != 0:
            failed.append(test[0])
    print(f"cluster: {len(TESTS) - len(failed)} passed, {len(failed)} failed {' '.join(failed)}".rstrip())
    sys.exit(1 if failed else 0)
