# SPDX-License-Identifier: Apache-2.0
"""Runs docker/Dockerfile's own steps in debootstrap roots, without a Docker engine, then its command, and asks it one question.

  python3 docker/check.py FOLDER      FOLDER holds the roots; about 700 MB. Needs root and debootstrap.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests/bare"))
import bare_root  # noqa: E402


def steps():
    """Stages of the Dockerfile: (name, [(instruction, rest), …])."""
    stages = []
    text = re.sub(r"\\\n", " ", (REPOSITORY / "docker/Dockerfile").read_text())
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, rest = line.split(None, 1)
        if word == "FROM":
            stages.append((rest.split(" AS ")[-1] if " AS " in rest else "last", []))
            assert rest.startswith("debian:12"), rest
        else:
            stages[-1][1].append((word, rest))
    return stages


class Stage:
    def __init__(self, root):
        self.root, self.folder, self.user, self.env, self.words = root, "/", "root", {}, {}

    def chroot(self, line, user="root", **more):
        site = {k: v for k, v in os.environ.items() if k.startswith("PIP_") and k not in ("PIP_FIND_LINKS", "PIP_CERT")}
        if (self.root / bare_root.CERTIFICATES.lstrip("/")).exists():
            site["PIP_CERT"] = bare_root.CERTIFICATES
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **site, **self.env}
        mount = f"mount -t proc proc {self.root}/proc && mount --rbind /dev {self.root}/dev && ip link set lo up 2>/dev/null; exec chroot --userspec={user} {self.root} sh -c 'cd {self.folder} && {line}'"
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", *more.get("unshare", []), "sh", "-c", mount], env

    def run(self, line):
        command, env = self.chroot(line, self.user)
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, check=True)

    def copy(self, rest, stages):
        words = rest.split()
        if words[0].startswith("--from="):
            source = stages[words.pop(0)[7:]].root / words[0].lstrip("/")
            target = self.root / words[1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        else:
            assert words[0] == "."
            ignored = (REPOSITORY / ".dockerignore").read_text().split()
            shutil.copytree(REPOSITORY, self.root / words[1].lstrip("/"), dirs_exist_ok=True, ignore=lambda d, names: [n for n in names if d == str(REPOSITORY) and n in ignored])


def build(folder):
    base = folder / "base"
    bare_root.make_root(base)
    stages = {}
    for name, lines in steps():
        root = folder / name
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(base), str(root)], check=True)
        stage = stages[name] = Stage(root)
        for word, rest in lines:
            print(f"{name}: {word} {rest[:100]}", flush=True)
            if word == "RUN":
                stage.run(rest)
            elif word == "COPY":
                stage.copy(rest, stages)
            elif word == "WORKDIR":
                stage.folder = rest
                (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                stage.env.update([rest.split("=", 1)])
            elif word == "USER":
                stage.user = rest
            else:
                stage.words[word] = rest
    return stages["last"]


def ask(stage):
    """The container's command in a network of its own: its port 8000 is nobody else's."""
    volume = stage.root / stage.words["VOLUME"].lstrip("/")
    models = pathlib.Path(os.environ.get("TOKENWORKS_HOME", pathlib.Path.home() / ".cache/tokenworks")) / "models"
    shutil.copytree(models, volume / "models", dirs_exist_ok=True)
    subprocess.run(["chown", "-R", "--reference", str(volume), str(volume / "models")], check=True)
    entry = json.loads(stage.words["ENTRYPOINT"]) + json.loads(stage.words["CMD"])
    health = " ".join(json.loads(stage.words["HEALTHCHECK"].split("CMD ", 1)[1]))
    question = ('import json, time, urllib.request as u\n'
                'for i in range(300):\n'
                '    try: print(u.urlopen("http://127.0.0.1:8000/ready").status); break\n'
                '    except OSError: time.sleep(0.1)\n'
                'r = u.Request("http://127.0.0.1:8000/v1/chat/completions", json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8}).encode(), {"Content-Type": "application/json"})\n'
                'print(u.urlopen(r).read().decode())\n')
    (stage.root / "question.py").write_text(question)
    line = f'{" ".join(entry)} & server=$!; python3 /question.py && {health}; code=$?; id -un; kill -INT $server; wait $server; exit $code'
    command, env = stage.chroot(line, stage.user, unshare=["--net"])
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    print(done.stdout[-1500:], done.stderr[-1500:])
    fine = done.returncode == 0 and '"finish_reason"' in done.stdout and stage.user in done.stdout and "stopping" in done.stdout
    print("docker: the image's command answers as the user", stage.user, "and stops" if fine else "FAILED")
    return 0 if fine else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sys.exit(ask(build(options.folder.resolve())))
