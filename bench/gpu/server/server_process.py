# SPDX-License-Identifier: Apache-2.0
"""The server's binary as a child process with a home of its own: started, asked, stopped, and looked for afterwards."""
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

NAME = "check"


def die_with_parent():
    """In the child, before exec: no server outlives a check that is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Server:
    """`up` in the foreground; ready when made. RuntimeError with what was said: it did not start."""

    def __init__(self, binary, home, settings, file=None, env=None):
        self.binary, self.env = str(binary), {**os.environ, "TOKENWORKS_HOME": str(home), **(env or {})}
        self.folder = pathlib.Path(home) / "run" / NAME
        words = [self.binary, "up"] + ([str(file)] if file else []) + ["--name", NAME, "--port", "0"]
        for setting in settings:
            words += ["--set", setting]
        begin = time.monotonic()
        self.process = subprocess.Popen(words, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        preexec_fn=die_with_parent)
        said = []
        for line in self.process.stdout:
            said.append(line.rstrip())
            if line.startswith("ready in"):
                break
        else:
            self.process.wait()
            raise RuntimeError(f"up ended with {self.process.returncode}: " + " | ".join(said + self.log_ends()))
        self.seconds, self.said = time.monotonic() - begin, said
        self.port = int(said[-1].split("/v1")[0].rsplit(":", 1)[1])
        self.await_status(lambda status: all(w["state"] == "ready" for w in status["workers"]))

    def log_ends(self):
        return [f"{log.name}: {log.read_text(errors='replace').strip().splitlines()[-1:]}" for log in sorted(self.folder.glob("*.log"))]

    def status(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/cluster", timeout=10) as answer:
            return json.load(answer)

    def await_status(self, true, seconds=20):
        """The first status that is as wanted; after that time whatever it is then."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status()
            if true(status) or time.monotonic() > deadline:
                return status
            time.sleep(0.05)

    def post(self, path, body, timeout=120):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def processes(self):
        """This process and its children, which are all that the cluster has."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def down(self):
        """`down`; the processes of the cluster that are still there afterwards, and what `down` said where it failed."""
        if self.process.poll() is not None:
            return [f"up had ended with {self.process.returncode}"]
        were = self.processes()
        done = subprocess.run([self.binary, "down", "--name", NAME], env=self.env, capture_output=True, text=True, timeout=40)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        left = [pid for pid in were if pathlib.Path(f"/proc/{pid}").exists()]
        return left + ([] if done.returncode == 0 else [done.stdout + done.stderr])

    def end(self):
        """Whatever has happened: nothing stays."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
