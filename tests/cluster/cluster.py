# SPDX-License-Identifier: Apache-2.0
"""Starts and stops a Tokenworks cluster for a test, and talks to it with the standard library only."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TOKENWORKS_BIN", str(ROOT / "build/cpu-release/bin/tokenworks"))


class Cluster:
    """One cluster under a private run folder; the model cache is the user's own."""

    def __init__(self, name, settings=(), file=None, env=None):
        self.name = f"{name}-{os.getpid()}"  # of this run: what another run left behind is not met
        self.env = dict(os.environ, **(env or {}))
        arguments = [BINARY, "up"] + ([file] if file else []) + ["--name", self.name, "--port", "0", "--detach"]
        for setting in settings:
            arguments += ["--set", setting]
        done = subprocess.run(arguments, env=self.env, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"up failed ({done.returncode}): {done.stdout}{done.stderr}")
        self.port = int(self.status()["http"].rsplit(":", 1)[1])

    def command(self, *arguments, check=True):
        done = subprocess.run([BINARY, *arguments, "--name", self.name], env=self.env,
                              capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"{arguments} failed ({done.returncode}): {done.stdout}{done.stderr}")
        return done

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def folder(self):
        home = self.env.get("TOKENWORKS_HOME") or pathlib.Path(self.env.get("HOME") or "/root") / ".cache/tokenworks"
        return pathlib.Path(home) / "run" / self.name

    def ready_status(self):
        """The status once every worker is ready (`up` waits for one of each phase); after 30 s whatever it is then."""
        deadline = time.monotonic() + 30
        while True:
            status = self.status()
            if time.monotonic() > deadline or all(w["state"] == "ready" for w in status["workers"]):
                return status
            time.sleep(0.05)

    def settled_status(self, handoffs):
        """The status once the workers, which report every 100 ms, have told of the end of that many hand-offs."""
        deadline = time.monotonic() + 10
        while True:
            status = self.status()
            seen = status["handoff"]
            if seen["completed"] + seen["failed"] >= handoffs or time.monotonic() > deadline:
                return status
            time.sleep(0.05)

    def quiet_status(self):
        """The status once no worker reports a block in use; after 10 s whatever it is then."""
        deadline = time.monotonic() + 10
        while True:
            status = self.status()
            if time.monotonic() > deadline or not any(w["kv"][k] for w in status["workers"] for k in ("active", "reserved", "sending")):
                return status
            time.sleep(0.05)

    def request(self, method, path, body=None, headers=None, timeout=90):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, dict(response.getheaders()), data

    def post(self, path, body, timeout=90):
        status, _, data = self.request("POST", path, body, timeout=timeout)
        return status, json.loads(data)

    def post_all(self, path, bodies, parallel, timeout=90):
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            return list(pool.map(lambda body: self.post(path, body, timeout), bodies))

    def down(self):
        self.command("down")


@contextlib.contextmanager
def cluster(name, settings=(), file=None, env=None):
    it = Cluster(name, settings, file, env)
    try:
        yield it
    finally:
        it.down()


def default_model():
    """The path of the default model, fetched where it is not yet."""
    return subprocess.run([BINARY, "pull", "default"], capture_output=True, text=True, check=True).stdout.strip()


def write_yaml(text):
    handle = tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False)
    handle.write(text)
    handle.close()
    return handle.name
