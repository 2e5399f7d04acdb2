#!/usr/bin/env python3
"""packages.py ROOT: starts what is installed in ROOT from its units, chats.

In namespaces of its own (packages.sh): the ports of the packages are free, and
whatever is started ends with this.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from chat import Chat
from units import Unit

from harness.net import wait_until          # chat.py has set the path
from harness.rest import Rest

PORT = 8080         # listen of the example
START_S = 60


def mount(root):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    subprocess.run(["mount", "--rbind", "/dev", root / "dev"], check=True)


def ids(root):
    """name -> uid in ROOT."""
    lines = (root / "etc/passwd").read_text().splitlines()
    return {f[0]: int(f[2]) for f in (line.split(":") for line in lines)}


def users_of(pid):
    """The users of a process and of those below it."""
    out = subprocess.run(["ps", "-o", "uid=", "-p", str(pid), "--ppid",
                          str(pid)], capture_output=True, text=True)
    return {int(uid) for uid in out.stdout.split()}


def health():
    try:
        r = Rest("127.0.0.1", PORT).call("GET", "/healthz")
        return r.status == 200 and json.loads(r.raw)["status"] == "ok"
    except (OSError, ValueError):
        return False


class Test:
    def __init__(self, root):
        self.root = root
        self.redis = Unit(root, "redis-server")
        self.worker = Unit(root, "writeen-worker")
        self.nginx = Unit(root, "nginx")
        self.began = time.monotonic()
        # without the newline that openssl ends it with, as nginx reads it
        self.secret = (root / "etc/writeen/jwt.key").read_text().strip()

    def ok(self, what):
        print(f"ok: {what} ({time.monotonic() - self.began:.1f} s)",
              flush=True)
        self.began = time.monotonic()

    def start(self, log):
        for unit in (self.redis, self.worker, self.nginx):
            unit.start(log)
        wait_until(health, START_S, "/healthz to be ok")

    def stop(self):
        for unit in (self.nginx, self.worker, self.redis):
            code = unit.stop()
            assert code == 0, f"{unit.name} ended with {code}"

    def chat(self, *room):
        return asyncio.run(Chat(PORT, self.secret).run(*room))

    def run(self, log):
        self.start(log)
        self.ok("redis-server, writeen-worker and nginx are up")
        uid = ids(self.root)
        assert users_of(self.worker.pid()) == {uid["writeen"]}
        assert uid["www-data"] in users_of(self.nginx.pid())
        page = Rest("127.0.0.1", PORT).call("GET", "/")
        assert page.status == 200 and b"<title>" in page.raw, page
        script = Rest("127.0.0.1", PORT).call("GET", "/writeen.js")
        assert "javascript" in script.headers["Content-Type"], script.headers
        room = self.chat()
        self.ok("two people chat, and send a picture")
        self.nginx.reload()
        wait_until(health, START_S, "/healthz to be ok after a reload")
        self.stop()
        self.ok("reloaded, and stopped")
        self.start(log)
        self.chat(room)
        self.ok("started again, with what was said before")
        self.stop()


def main():
    root = Path(sys.argv[1])
    mount(root)
    with open(root / "var/log/units.log", "w", encoding="utf-8") as log:
        try:
            Test(root).run(log)
        except BaseException:
            sys.stdout.write((root / "var/log/units.log").read_text())
            sys.stdout.write((root / "var/log/nginx/error.log").read_text())
            raise


if __name__ == "__main__":
    main()
