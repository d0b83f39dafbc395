# SPDX-License-Identifier: Apache-2.0
"""The README's two commands on a minimal Debian 12 root: clone to first streamed token, second start, nothing left behind.

  python3 tests/bare/bare_root.py ROOT [--out bench/results/bare_root.json] [--test]

ROOT is a folder that debootstrap fills if it is not there (minbase; this host's apt sources, resolver, pip settings and
certificates are copied in, nothing else is installed). Needs root. --test also runs `./tokenworks test` there.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SITE_FILES = ["/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf"]
CERTIFICATES = "/etc/site-certificates.pem"  # this host's; the package ca-certificates writes its own over the usual file
CHECKS = []


def check(name, holds, seen):
    CHECKS.append(bool(holds))
    print(f"{'ok    ' if holds else 'FAILED'} {name}: {seen}", flush=True)


def make_root(root):
    if (root / "etc/debian_version").exists():
        return
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(root)], check=True, stdout=subprocess.DEVNULL)
    for file in map(pathlib.Path, SITE_FILES):
        if file.exists():
            target = root / file.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    host = os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
    if pathlib.Path(host).exists():
        shutil.copy(host, root / CERTIFICATES.lstrip("/"))


class Root:
    """Runs commands in ROOT, in a process namespace of its own: what is left there is easily seen."""

    def __init__(self, root):
        self.root = root
        script = ("mount --make-rprivate / && mount -t proc proc {0}/proc && mount --rbind /dev {0}/dev && "
                  "mount -t tmpfs tmpfs {0}/dev/shm && mount -t sysfs sysfs {0}/sys && exec sleep infinity").format(root)
        self.keeper = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script])
        time.sleep(1)
        self.inside = subprocess.run(["pgrep", "-P", str(self.keeper.pid)], capture_output=True, text=True, check=True).stdout.strip()

    def command(self, line, timeout):
        site = [f"{k}={v}" for k, v in os.environ.items() if k.startswith("PIP_") and k not in ("PIP_FIND_LINKS", "PIP_CERT")]
        site += [f"PIP_CERT={CERTIFICATES}"] if (self.root / CERTIFICATES.lstrip("/")).exists() else []
        full = ["nsenter", "--target", self.inside, "--mount", "--pid", "chroot", str(self.root), "env", "-i", "HOME=/root",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *site, "sh", "-c", "cd /root/tokenworks && " + line]
        began = time.monotonic()
        done = subprocess.run(full, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        return done.returncode, done.stdout, time.monotonic() - began

    def processes(self):
        _, out, _ = self.command("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null; echo; done", 30)
        return [line for line in out.splitlines() if "tokenworks " in line and "cmdline" not in line]

    def close(self):
        self.keeper.kill()
        self.keeper.wait()


def first_token(port, began):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = {"model": "default", "stream": True, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    for line in connection.getresponse():
        if line.startswith(b"data: {") and any(c["delta"].get("content") for c in json.loads(line[6:])["choices"]):
            return time.monotonic() - began
    return None


def two_commands(root, out):
    began = time.monotonic()
    subprocess.run(["git", "clone", "-q", f"file://{REPOSITORY}", str(root.root / "root/tokenworks")], check=True)
    code, said, _ = root.command("./tokenworks up --detach", 1500)
    out["ready_s"] = round(time.monotonic() - began, 1)
    check("up", code == 0, said[-1500:] if code else re.findall(r"^\[\d+ s\].{0,60}", said, re.M))
    out["progress"] = re.findall(r"^\[\d+ s\].{0,60}", said, re.M)
    status = json.loads(root.command("./tokenworks status --json", 30)[1])
    seconds = first_token(int(status["http"].rsplit(":", 1)[1]), began)
    out["first_token_s"] = round(seconds, 1)
    check("clone to first streamed token within 9 minutes", seconds <= 540, f"{seconds:.0f} s")
    workers = [(w["role"], w["pid"]) for w in status["workers"]]
    check("one prefill and one decode worker in different processes", sorted(r for r, _ in workers) == ["decode", "prefill"] and len({p for _, p in workers}) == 2, workers)
    answer = root.command('./tokenworks chat "What is the capital of France?"', 60)
    check("chat", answer[0] == 0 and answer[1].strip(), answer[1][-200:])
    nothing_left(root, "after down")
    code, said, seconds = root.command("./tokenworks up --detach", 60)
    out["second_up_s"] = round(seconds, 2)
    check("second up within 3 s", code == 0 and seconds <= 3, f"{seconds:.2f} s")
    nothing_left(root, "after the second down")


def nothing_left(root, when):
    code, said, _ = root.command("./tokenworks down", 60)
    check(f"down, {when}", code == 0, said.strip()[-200:])
    left = {"processes": root.processes(), "shm": root.command("ls /dev/shm", 10)[1].split(),
            "run": root.command("find /root/.cache/tokenworks/run -mindepth 1 2>/dev/null; find / -xdev -type s 2>/dev/null", 60)[1].split()}
    check(f"nothing left {when}", not any(left.values()), left)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--test", action="store_true")
    options = parser.parse_args()
    make_root(options.root)
    shutil.rmtree(options.root / "root/tokenworks", ignore_errors=True)
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    commit = subprocess.run(["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    out = {"command": "python3 tests/bare/bare_root.py ROOT", "commit": commit, "cpu": cpu, "cores": os.cpu_count()}
    root = Root(options.root)
    try:
        two_commands(root, out)
        if options.test:
            code, said, seconds = root.command("./tokenworks test", 3000)
            out["test_s"] = round(seconds, 1)
            check("./tokenworks test", code == 0, said.strip().splitlines()[-1])
            out["test_stages"] = said.strip().splitlines()[-1]
    finally:
        root.close()
    out["checks"] = {"passed": sum(CHECKS), "failed": len(CHECKS) - sum(CHECKS)}
    print(json.dumps(out))
    if options.out:
        options.out.write_text(json.dumps(out, indent=1) + "\n")
    return 0 if all(CHECKS) else 1


if __name__ == "__main__":
    sys.exit(main())
